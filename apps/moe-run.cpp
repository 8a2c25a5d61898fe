// moe-run: one YAML file → the whole method, on this machine.
#include "app.h"
#include "run/child_process.h"
#include "run/run.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-run",
      "Run the whole method from one configuration: ingest, base, embedding, partition, "
      "experts, decoder, evaluation. Each stage is one of the other commands in a process of "
      "its own; those that are done are skipped, so the same command resumes. Ends with a "
      "table.");
  RunTask task;
  std::string config_file, out;
  auto& cli = command.cli();
  cli.add_option("CONFIG", config_file,
                 "YAML configuration file; its keys are in --print-config, and in the help of the "
                 "commands that read them")
      ->required()
      ->type_name("");
  command.out_option(out, "the run");
  auto* dry_run = cli.add_flag("--dry-run", task.dry_run,
                               "Print what would be done: the commands as one would type them; "
                               "writes OUT/planned.yaml, which they name");
  cli.add_flag("--status", task.status, "Print which stages of OUT are done, and stop")
      ->excludes(dry_run);
  command.setting("--parallel", "run.parallel");
  command.flag("--keep-going", "run.keep_going");
  command.setting("--retries", "run.retries");
  command.setting("--seed", "seed");
  command.setting("--gpus", "run.gpus");
  command.device_option();
  command.stage_options(task.force, "of each such stage in OUT alone");
  command.config_from(config_file);
  command.reads({"run"});
  command.example("moe-run configs/quickstart.yaml --out runs/quickstart --dry-run");
  command.example(
      "moe-run configs/quickstart.yaml --out runs/quickstart --set run.seeds=3 --set "
      "run.controls=all");
  command.example("moe-run --print-config");
  return command.run(argc, argv, [&] {
    task.out = out;
    task.again = shell_line({argv, argv + argc});
    task.programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    run_pipeline(task, command.config(), print);
  });
}
