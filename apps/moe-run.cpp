// moe-run: one YAML file → the whole method, on this machine.
#include "app.h"
#include "base/folders.h"
#include "base/log.h"
#include "run/pipeline.h"

namespace {

using namespace hardmoe;

std::filesystem::path program_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

void run_steps(const std::vector<PipelineStep>& steps, const std::function<void()>& check) {
  size_t total = 0, done = 0;
  for (const auto& step : steps) total += step.processes.size();
  for (const auto& step : steps) {
    check();
    run_processes(step.processes, step.parallel,
                  [&](const ProcessSpec& process, const ProcessResult& result) {
                    log_info("[{}/{}] {}: {:.1f} s", ++done, total, process.name, result.seconds);
                  });
  }
}

}  // namespace

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  Command command(
      "moe-run",
      "Run the whole method from one configuration: ingest, base, embedding, partition, "
      "experts, decoder, evaluation. Each stage is one of the other commands in a process of "
      "its own; those that are done are skipped, so the same command resumes. Ends with a "
      "table.");
  std::string config_file, out;
  bool force = false, dry_run = false;
  auto& cli = command.cli();
  cli.add_option("CONFIG", config_file, "YAML configuration file")->required()->type_name("");
  cli.add_option("--out", out, "Folder of the run")->required()->type_name("DIR");
  cli.add_flag("--dry-run", dry_run,
               "Print the commands as one would type them, and stop; writes OUT/planned.yaml, "
               "which they name");
  command.setting("--parallel", "run.parallel");
  command.setting("--seed", "seed");
  command.setting("--gpus", "run.gpus");
  command.device_option();
  command.stage_options(force,
                        "Where the inputs of a stage in OUT have changed: remove its result and "
                        "begin it again; others stay");
  command.config_from(config_file);
  return command.run(argc, argv, [&] {
    Config& config = command.config();
    const fs::path frozen = fs::path(out) / (dry_run ? "planned.yaml" : "config.yaml");
    const auto steps = plan_pipeline(config, out, program_folder(), frozen, force);
    check_run_folder(out);
    check_own_embedding(config, out);
    make_writable_folder(fs::path(out) / "logs");
    if (dry_run) {
      write_file_atomic(frozen, config_yaml(fields_of(config)));
      for (const auto& step : steps) {
        for (const auto& process : step.processes)
          fmt::print("{}\n", shell_line(process.arguments));
      }
      return;
    }
    const FileLock lock(fs::path(out) / ".lock", out);
    check_devices(config, program_folder(), fs::path(out) / "logs/device.txt");
    const std::string before = path_exists(frozen) ? read_file(frozen) : "";
    write_file_atomic(frozen, config_yaml(fields_of(config)));
    const double start = now_seconds();
    try {
      run_steps(steps, [&] {
        check_evaluation_split(config, out);
        check_own_embedding(config, out);
      });
    } catch (const Error& error) {
      const bool refused = error.status() == ExitStatus::usage;
      if (refused && !before.empty()) write_file_atomic(frozen, before);  // what the run is of
      throw;
    }
    const Json summary = pipeline_summary(config, out);
    write_json(fs::path(out) / "summary.json", summary);
    log_info("all done in {:.0f} s; results in {}", now_seconds() - start, out);
    fmt::print("{}", summary_table(summary));
  });
}
