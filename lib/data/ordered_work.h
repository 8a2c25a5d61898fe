// Work spread over threads, with results taken in order. Not for loops over numbers: see
// parallel_for in base/threads.h.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <vector>

#include "base/workers.h"

namespace hardmoe {

/// Calls make(i) → T for i in [0, count) in `workers` threads, and take(i, T) in the calling thread
/// in order. At most `window` results wait to be taken. make must not throw. An exception from take
/// stops the threads and is rethrown.
template <class T, class Make, class Take>
void work_in_order(int64_t count, int workers, int64_t window, const Make& make, const Take& take) {
  struct Result {
    T value;
    bool ready = false;
  };
  std::vector<Result> results(static_cast<size_t>(std::min(window, count)));
  std::mutex mutex;
  std::condition_variable made, taken;
  int64_t next = 0, done = 0;
  bool stop = false;
  const auto result = [&](int64_t i) -> Result& {
    return results[static_cast<size_t>(i) % results.size()];
  };
  const auto work = [&] {
    std::unique_lock lock(mutex);
    while (true) {
      const auto free = [&] { return next < done + static_cast<int64_t>(results.size()); };
      taken.wait(lock, [&] { return stop || next >= count || free(); });
      if (stop || next >= count) return;
      const int64_t i = next++;
      lock.unlock();
      T value = make(i);
      lock.lock();
      result(i) = {std::move(value), true};
      if (i == done) made.notify_one();
    }
  };
  Workers threads;
  threads.start(static_cast<int>(std::min<int64_t>(workers, count)), [&](int) { work(); });
  std::exception_ptr failure;
  try {
    while (done < count) {
      std::unique_lock lock(mutex);
      made.wait(lock, [&] { return result(done).ready; });
      T value = std::move(result(done).value);
      result(done).ready = false;
      lock.unlock();
      take(done, value);
      lock.lock();
      ++done;
      taken.notify_one();
    }
  } catch (...) {
    failure = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex);
    stop = true;
  }
  taken.notify_all();
  threads.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace hardmoe
