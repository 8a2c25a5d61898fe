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
  auto* status = cli.add_flag("--status", task.status,
                              "Print how far the stages of OUT are, where they run and what they "
                              "last failed of, and stop")
                     ->excludes(dry_run);
  cli.add_flag("--watch", task.watch, "With --status: again every two seconds, until all are done")
      ->needs(status);
  cli.add_flag("--json", task.json, "Print JSON: with --status, an object a line")->needs(status);
  cli.add_flag("--retry-failed", task.retry_failed,
               "Try again only what failed: stages that failed or were lost, and what needs them");
  cli.add_flag("--list", task.list, "Print the names of the stages and which are done, and stop")
      ->excludes(dry_run);
  cli.add_option(
         "--only", task.selection.only,
         "Run these stages alone (repeatable): by name, 'expert 3', or by the words that names "
         "begin with, expert")
      ->type_name("STAGE")
      ->allow_extra_args(false);
  cli.add_option("--from", task.selection.from, "Run this stage and all that need it")
      ->type_name("STAGE");
  cli.add_option("--until", task.selection.until, "Run this stage and all that it needs")
      ->type_name("STAGE");
  cli.add_option_function<std::string>(
         "--launcher", [&](const std::string& launcher) { task.slurm = launcher == "slurm"; },
         "Where stages run: local, as processes of this machine, or slurm, as jobs that are "
         "submitted, with scripts in OUT/slurm")
      ->type_name("local|slurm")
      ->default_str("local")
      ->check([](const std::string& found) {
        const bool known = found == "local" || found == "slurm";
        return known ? "" : fmt::format("expected local or slurm, found '{}'", found);
      });
  cli.add_flag("--cancel", task.cancel, "End the run's jobs that wait or run in Slurm, and stop")
      ->excludes(dry_run);
  command.setting("--parallel", "run.parallel");
  command.flag("--keep-going", "run.keep_going");
  command.setting("--retries", "run.retries");
  command.setting("--seed", "seed");
  command.setting("--gpus", "run.gpus");
  command.device_option();
  command.stage_options(task.force, "of each such stage in OUT alone");
  command.config_from(config_file);
  command.reads({"run", "slurm"});
  command.example(
      "moe-run configs/quickstart.yaml --out runs/quickstart --set run.seeds=3 --set "
      "run.controls=all");
  command.example("moe-run configs/quickstart.yaml --out runs/quickstart --only 'expert 3'");
  command.example(
      "moe-run configs/quickstart.yaml --out runs/quickstart --launcher slurm --dry-run");
  return command.run(argc, argv, [&] {
    task.out = out;
    task.again = shell_line({argv, argv + argc});
    task.programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    run_pipeline(task, command.config(), print);
  });
}
