// What a running stage tells its launcher (base/tell.h): how far it is, and why it fails. Its log says
// more, but cannot be written where the disk is full.
#pragma once

#include <string>

#include "base/json.h"
#include "base/open_pipe.h"

namespace hardmoe {

/// The messages of one process.
class StageMessages {
 public:
  /// Opens a pipe. Throws Error if there is none to be had.
  StageMessages();

  /// Returns the descriptor that the process writes to, to be handed to start_process.
  int writing_end() const { return pipe_.writing_end(); }
  /// Notes that the process has been started, and alone writes.
  void started() { pipe_.close_writing_end(); }
  /// Takes what has been written since the last call, without waiting.
  void read();

  /// Returns the object last told of progress (class Progress), null before the first.
  const Json& progress() const { return progress_; }
  /// Returns the sentence with which the process said that it fails; "" if it did not.
  const std::string& failure() const { return failure_; }
  /// Returns the lock that another process held, for want of which the process fails (base/file_lock.h);
  /// "" if that is not why.
  const std::string& locked() const { return locked_; }

 private:
  void take(const std::string& line);

  OpenPipe pipe_;
  std::string unread_;  ///< the beginning of a line
  Json progress_;
  std::string failure_, locked_;
};

}  // namespace hardmoe
