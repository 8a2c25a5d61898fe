// moe-run: one configuration → the whole method, on this machine.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "run/stage_selection.h"
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
  bool watch = false;  ///< print it again and again, until all is done or a signal comes
  bool json = false;   ///< print it as JSON
  bool retry_failed =
      false;            ///< of the stages meant those that failed or were lost, and what needs them
  bool list = false;    ///< only print the names of the stages, and which are done
  bool slurm = false;   ///< hand the stages to Slurm instead of running them here
  bool cancel = false;  ///< only end what was handed to Slurm
  StageSelection selection;  ///< the stages that are meant
};

/// Runs every selected stage in a process of its own (that of a finished stage ends at once). Once all
/// stages of the run are done, writes OUT/summary.json and passes the table of results to `print`.
/// Other processes may work on the same run at the same time, on any machine that sees OUT, by the
/// same configuration: each stage is run by one of them. With dry_run: writes OUT/planned.yaml and
/// prints the commands that read it, one a line. With slurm: submits jobs and returns (submit_run).
/// Throws Error(usage) before the first stage if the configuration or a folder cannot be used, as
/// selected_stages, graph_of_selected and FrozenConfig do, and as run_stages does.
void run_pipeline(const RunTask& task, Config& config,
                  const std::function<void(const std::string&)>& print);

}  // namespace hardmoe
