#include "run/run.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/log.h"
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

/// Runs the stages, and checks the data set as soon as it exists.
void run_all(const Pipeline& pipeline, const Config& config, const fs::path& out) {
  check_data(config, out);
  const auto before = status_of(pipeline.stages);
  log_info("{} stages, {} of them done before; what each says is in {}", before.size(),
           std::ranges::count(before, StageState::done, &StageStatus::state),
           (out / "logs").string());
  size_t done = 0;
  run_stages(
      pipeline.stages, pipeline.parallel, [&](const RunStage& stage, const ProcessResult& result) {
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
    throw;
  }
  const Json summary = pipeline_summary(pipeline);
  write_json(task.out / "summary.json", summary);
  log_info("all done in {:.0f} s; results in {}", now_seconds() - start, task.out.string());
  print(summary_table(summary));
}

}  // namespace hardmoe
