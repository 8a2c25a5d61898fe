// Who writes a folder: locks that go with their process, however it ends.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/open_file.h"

namespace hardmoe {

/// Holds a lock on a file while alive. The file says whose it is: "process 4711 on HOST", and the
/// cluster's job if there is one.
class FileLock {
 public:
  /// Locks `file`, which is made where it is missing. Throws Error, naming `what` and the holder, if
  /// another process holds it.
  FileLock(const std::filesystem::path& file, std::string_view what);

 private:
  OpenFile file_;
};

/// Returns who holds the lock, as the file says it, or "another process"; "" if nobody does or the
/// file is missing.
std::string lock_holder(const std::filesystem::path& file);

}  // namespace hardmoe
