// Who works in a folder beside others: a lock that many processes hold at once, and one alone for a
// moment when it changes what they share. See base/file_lock.h for a folder that one process writes.
#pragma once

#include <filesystem>
#include <string>

#include "base/open_file.h"

namespace hardmoe {

/// Holds a lock on a file while alive: alone at first, if no other process holds it, else beside
/// others. The file says who took it last.
class SharedLock {
 public:
  /// Locks `file`, which is made where it is missing. Waits some seconds for a process that holds it
  /// alone. Throws Error if that does not end, or if the file cannot be locked.
  explicit SharedLock(const std::filesystem::path& file);

  /// Returns whether no other process holds it.
  bool is_alone() const { return alone_; }
  /// Lets others share it, who may have it alone for a moment before this returns.
  void share();
  /// Returns who took the lock last before this process, as the file said it.
  const std::string& before() const { return before_; }

 private:
  void take(bool perhaps_alone);

  OpenFile file_;
  std::string before_;
  bool alone_ = false;
};

}  // namespace hardmoe
