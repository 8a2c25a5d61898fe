// moe-run: one configuration → the whole method, on this machine.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "tasks/config.h"

namespace hardmoe {

/// What moe-run is to do.
struct RunTask {
  std::filesystem::path out;       ///< folder of the run
  std::filesystem::path programs;  ///< folder of the commands
  std::string again;               ///< the command line that goes on after a failure
  bool force = false;              ///< begin stages again whose inputs have changed
  bool dry_run = false;            ///< only print the commands
  bool status = false;             ///< only print how far the run is
};

/// Runs every stage in a process of its own (that of a finished stage ends at once), and passes the
/// table of results to `print`. With dry_run: writes OUT/planned.yaml and prints the commands that
/// read it, one a line. Throws Error(usage) before the first stage if the configuration or a folder
/// cannot be used, and as run_stages does.
void run_pipeline(const RunTask& task, Config& config,
                  const std::function<void(const std::string&)>& print);

}  // namespace hardmoe
