// Threads beside the calling one, for background work such as loading. For loops over data:
// base/threads.h.
#pragma once

#include <functional>
#include <thread>
#include <vector>

namespace hardmoe {

/// Threads that share one kind of work, of which any number can do all.
class Workers {
 public:
  Workers() = default;
  ~Workers() { join(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Starts `count` threads, each with its number. Where the system has no more, fewer must do, and a
  /// warning says so. Throws Error if there are fewer than `least`.
  void start(int count, const std::function<void(int)>& work, int least = 1);
  /// Waits until all have returned.
  void join();

 private:
  std::vector<std::thread> threads_;
};

}  // namespace hardmoe
