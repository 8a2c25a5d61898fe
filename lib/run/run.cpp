#include "run/run.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/stage.h"
#include "run/launcher.h"
#include "run/pipeline.h"
#include "run/run_checks.h"
#include "run/status.h"
#include "run/summary.h"
#include "run/summary_table.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

void check_data(const Config& config, const fs::path& out) {
  check_splits(config, out);
  check_external_embedding(config, out);
}

constexpr double longest_wait = 60;  // seconds, for a process to save and end

/// Waits until nobody writes a stage's folder: where only moe-run was killed, its stages still save
/// what they have. Says for whom it waits. After a minute the stage itself says who is in the way.
void wait_for_writers(const std::vector<RunStage>& stages) {
  const double start = now_seconds();
  for (const RunStage& stage : stages) {
    bool told = false;
    while (now_seconds() - start < longest_wait) {
      const std::string holder = lock_holder(stage.folder / stage_lock_name);
      if (holder.empty()) break;
      if (!told) {
        log_info("{} is being written by {}; waiting until it ends", stage.folder.string(), holder);
      }
      told = true;
      throw_if_interrupted();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
}

/// Runs the stages, and checks the data set as soon as it exists.
void run_all(const Pipeline& pipeline, const Config& config, const fs::path& out) {
  check_data(config, out);
  wait_for_writers(pipeline.stages);
  const auto before = status_of(pipeline.stages);
  log_info("{} stages, {} of them done before; what each says is in {}", before.size(),
           std::ranges::count(before, StageState::done, &StageStatus::state),
           (out / "logs").string());
  size_t done = 0;
  const LaunchOptions options{.parallel = pipeline.parallel,
                              .keep_going = config.run.keep_going,
                              .retries = config.run.retries};
  run_stages(pipeline.stages, options, [&](const RunStage& stage, const ProcessResult& result) {
    const std::string& name = stage.process.name;
    log_info("[{}/{}] {}: {:.1f} s", ++done, pipeline.stages.size(), name, result.seconds);
    if (name == "ingest") check_data(config, out);
  });
}

void print_commands(const Pipeline& pipeline,
                    const std::function<void(const std::string&)>& print) {
  for (const size_t stage : order_of(pipeline.stages)) {
    print(shell_line(pipeline.stages[stage].process.arguments) + "\n");
  }
}

}  // namespace

void run_pipeline(const RunTask& task, Config& config,
                  const std::function<void(const std::string&)>& print) {
  const fs::path frozen = task.out / (task.dry_run ? "planned.yaml" : "config.yaml");
  const Pipeline pipeline = plan_pipeline(config, task.out, task.programs, frozen, task.force);
  check_run_folder(task.out);
  if (task.status) return print(status_table(status_of(pipeline.stages)));
  check_external_embedding(config, task.out);
  make_writable_folder(task.out / "logs");
  if (task.dry_run) {
    write_file_atomic(frozen, config_yaml(fields_of(config)));
    return print_commands(pipeline, print);
  }
  const FileLock lock(task.out / ".lock", task.out.string());
  check_devices(config.device, pipeline.gpus, task.programs, task.out / "logs/device.txt");
  const std::string before = path_exists(frozen) ? read_file(frozen) : "";
  write_file_atomic(frozen, config_yaml(fields_of(config)));
  const double start = now_seconds();
  try {
    run_all(pipeline, config, task.out);
  } catch (const Error& error) {
    const bool refused = error.status() == ExitStatus::usage;
    if (refused && !before.empty()) write_file_atomic(frozen, before);  // what the run is of
    if (error.status() != ExitStatus::failed || task.again.empty()) throw;
    throw Error(fmt::format("{}\n  what is done is kept; go on with: {}", error.what(), task.again),
                error.status());
  }
  const Json summary = pipeline_summary(pipeline);
  write_json(task.out / "summary.json", summary);
  log_info("all done in {:.0f} s; results in {}", now_seconds() - start, task.out.string());
  print(summary_table(summary));
}

}  // namespace hardmoe
