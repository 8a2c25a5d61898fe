// A pipe between this process and one that it starts.
#pragma once

#include <string>

namespace hardmoe {

/// The ends of a pipe, closed with this object; exec closes them in children, too.
class OpenPipe {
 public:
  /// Throws Error if the system has no descriptors left.
  OpenPipe();
  ~OpenPipe();
  OpenPipe(OpenPipe&& other) noexcept;
  OpenPipe& operator=(OpenPipe&& other) noexcept;

  int writing_end() const { return ends_[1]; }
  void close_writing_end();
  /// Returns what can be read without waiting.
  std::string read_available() const;

 private:
  int ends_[2] = {-1, -1};
};

}  // namespace hardmoe
