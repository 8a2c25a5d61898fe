// The configuration that a run is of, OUT/config.yaml: all stages read it, and all processes that
// work on the run at once agree on it.
#pragma once

#include <filesystem>
#include <string>

#include "base/shared_lock.h"
#include "tasks/config.h"

namespace hardmoe {

/// Holds a run's configuration fixed while alive.
class FrozenConfig {
 public:
  /// Writes `config` into OUT/config.yaml, unless what is there asks for the same results. Throws
  /// Error(usage) naming what differs, and changes nothing, if another process works on the run by
  /// another configuration.
  FrozenConfig(const std::filesystem::path& out, Config& config);

  /// Puts back what was there before, for a configuration that a stage refused.
  void undo();

 private:
  std::filesystem::path file_;
  SharedLock lock_;
  std::string before_;    ///< the file's text; "" if it was not there
  bool written_ = false;  ///< by this process
};

/// Returns what results depend on: all but how and where stages are run.
Json results_config(Config& config);

}  // namespace hardmoe
