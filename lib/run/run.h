// moe-run: one configuration → the whole method, on this machine.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "tasks/config.h"

namespace hardmoe {

struct RunTask {
  std::filesystem::path out;       ///< folder of the run
  std::filesystem::path programs;  ///< folder of the commands
  bool force = false;              ///< begin stages again whose inputs have changed
  bool dry_run = false;            ///< hand on the commands, and stop
  bool status = false;             ///< hand on how far the run is, and stop
};

/// Runs every stage that is not done, in a process of its own, and hands `print` the table of what
/// they came to. With dry_run: writes OUT/planned.yaml and hands on the commands that name it, a
/// line each. Throws Error(usage) for a configuration or folder that is of no use, before the first
/// stage, and as run_stages.
void run_pipeline(const RunTask& task, Config& config,
                  const std::function<void(const std::string&)>& print);

}  // namespace hardmoe
