#include "run/run.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/json_line.h"
#include "base/log.h"
#include "base/signals.h"
#include "run/frozen_config.h"
#include "run/launcher.h"
#include "run/pipeline.h"
#include "run/run_checks.h"
#include "run/run_status.h"
#include "run/slurm_queue.h"
#include "run/slurm_submit.h"
#include "run/status.h"
#include "run/summary.h"
#include "run/summary_table.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr double watch_seconds = 2;
const std::string clear_screen = "\x1b[H\x1b[J";

void check_data(const Config& config, const fs::path& out) {
  check_splits(config, out);
  check_external_embedding(config, out);
}

/// Runs the stages, some or all of the run's, and checks the data set as soon as it exists.
void run_all(const std::vector<RunStage>& stages, const Pipeline& pipeline, const Config& config,
             const fs::path& out) {
  check_data(config, out);
  const auto before = status_of(stages);
  log_info("{} stages, {} of them done before; what each says is in {}", before.size(),
           std::ranges::count(before, StageState::done, &StageStatus::state),
           (out / "logs").string());
  size_t done = 0;
  const LaunchOptions options{.parallel = pipeline.parallel,
                              .keep_going = config.run.keep_going,
                              .retries = config.run.retries};
  run_stages(stages, options, [&](const RunStage& stage, const ProcessResult& result) {
    const std::string& name = stage.process.name;
    log_info("[{}/{}] {}: {:.1f} s", ++done, stages.size(), name, result.seconds);
    if (name == "ingest") check_data(config, out);
  });
}

/// Prints the commands of the stages, in an order in which they can be typed.
void print_commands(const Pipeline& pipeline, const std::vector<size_t>& selected,
                    const std::function<void(const std::string&)>& print) {
  for (const size_t stage : order_of(pipeline.stages)) {
    if (!std::ranges::binary_search(selected, stage)) continue;
    print(shell_line(pipeline.stages[stage].process.arguments) + "\n");
  }
}

/// Writes and prints the results, if there is nothing left to do for them.
void print_results(const Pipeline& pipeline, const fs::path& out,
                   const std::function<void(const std::string&)>& print) {
  for (const RunStage& stage : pipeline.stages) {
    if (status_of({stage})[0].state == StageState::done) continue;
    return log_info("{} is not done yet; the table comes with the last stage", stage.process.name);
  }
  const Json summary = pipeline_summary(pipeline);
  write_json(out / "summary.json", summary);
  print(summary_table(summary));
}

/// Returns the stages of these numbers.
std::vector<RunStage> stages_of(const Pipeline& pipeline, const std::vector<size_t>& numbers) {
  std::vector<RunStage> stages;
  for (const size_t number : numbers) stages.push_back(pipeline.stages[number]);
  return stages;
}

/// Prints how far the stages are, once or until all are done or a signal comes.
void print_status(const std::vector<RunStage>& stages, const RunTask& task,
                  const std::function<void(const std::string&)>& print) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  for (;;) {
    const auto views = look_at(stages);
    const std::string text = task.json ? json_line(view_json(views)) : view_table(views);
    print(task.watch && terminal && !task.json ? clear_screen + text : text);
    if (!task.watch || std::ranges::all_of(views, [](const StageView& view) {
          return view.activity == Activity::done;
        })) {
      return;
    }
    std::fflush(stdout);
    const double until = now_seconds() + watch_seconds;
    while (now_seconds() < until) {
      if (interrupted()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
}

/// Returns of the stages meant those that failed or were lost, and those that need one and are not
/// done.
std::vector<size_t> to_retry(const Pipeline& pipeline, const std::vector<size_t>& selected) {
  const auto views = look_at(pipeline.stages);
  std::vector<size_t> failed;
  for (const size_t number : selected) {
    if (has_failed(views[number])) failed.push_back(number);
  }
  std::vector<size_t> again = with_dependents(pipeline.stages, failed);
  std::erase_if(again, [&](size_t number) {
    return views[number].activity == Activity::done ||
           !std::ranges::binary_search(selected, number);
  });
  return again;
}

}  // namespace

void run_pipeline(const RunTask& task, Config& config,
                  const std::function<void(const std::string&)>& print) {
  const fs::path frozen = task.out / (task.dry_run ? "planned.yaml" : "config.yaml");
  const Pipeline pipeline = plan_pipeline(config, task.out, task.programs, frozen, task.force);
  check_run_folder(task.out);
  auto selected = selected_stages(pipeline.stages, task.selection);
  if (task.list) return print(stage_list(status_of(stages_of(pipeline, selected))));
  if (task.cancel) return cancel_run(task.out, print);
  if (task.status) return print_status(stages_of(pipeline, selected), task, print);
  if (task.retry_failed) {
    selected = to_retry(pipeline, selected);
    if (selected.empty()) return log_info("no stage has failed");
  }
  check_external_embedding(config, task.out);
  const SlurmRun slurm{task.out, task.programs / "moe-run", fs::current_path()};
  if (task.dry_run && task.slurm) {
    return print_slurm_plan(pipeline.stages, selected, config, slurm, print);
  }
  if (task.slurm) require_slurm();
  make_writable_folder(task.out / "logs");
  if (task.dry_run) {
    write_file_atomic(frozen, config_yaml(fields_of(config)));
    return print_commands(pipeline, selected, print);
  }
  if (task.slurm) {
    check_data(config, task.out);
    const FrozenConfig agreed(task.out, config);
    return submit_run(pipeline.stages, selected, config, slurm, print);
  }
  const auto stages = graph_of_selected(pipeline.stages, selected);
  FrozenConfig agreed(task.out, config);
  check_devices(config.device, pipeline.gpus, task.programs, task.out / "logs/device.txt");
  const double start = now_seconds();
  try {
    run_all(stages, pipeline, config, task.out);
  } catch (const Error& error) {
    if (error.status() == ExitStatus::usage) agreed.undo();
    if (error.status() != ExitStatus::failed || task.again.empty()) throw;
    throw Error(fmt::format("{}\n  what is done is kept; go on with: {}", error.what(), task.again),
                error.status());
  }
  log_info("done in {:.0f} s; results in {}", now_seconds() - start, task.out.string());
  print_results(pipeline, task.out, print);
}

}  // namespace hardmoe
