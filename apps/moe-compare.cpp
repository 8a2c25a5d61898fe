// moe-compare: evaluations of several systems, image by image.
#include "app.h"
#include "tasks/compare.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-compare",
      "Compare systems that moe-eval --out evaluated on the same images: each one's mean with its "
      "standard error over seeds, and its difference to the first with a 95% interval, from a "
      "paired bootstrap over images and seeds.\n\nA system is a folder of moe-eval --out, or "
      "several with commas between, one a seed, in the same order of seeds for all; a name may go "
      "before: base=runs/1/eval/base,runs/2/eval/base. An image that one of two systems was not "
      "evaluated on is left out of their difference.");
  CompareTask task;
  auto& cli = command.cli();
  cli.add_option("SYSTEM", task.systems,
                 "[NAME=]DIR[,DIR…]; the first is what others are compared "
                 "with")
      ->required()
      ->type_name("");
  cli.add_option("--column", task.columns,
                 "What to compare, as images.columns of metrics.json has it, such as 'truth P@1' "
                 "(repeatable; default: P@1, P@5 and R@10 against tags and truth)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  cli.add_option("--resamples", task.bootstrap.resamples, "Resamples of the bootstrap")
      ->type_name("N")
      ->capture_default_str();
  command.setting("--seed", "seed");
  cli.add_flag("--json", task.json, "Print JSON");
  command.example("moe-compare base=runs/k4/eval/base mixture=runs/k4/eval/local");
  command.example(
      "moe-compare base=runs/1/eval/base,runs/2/eval/base "
      "local=runs/1/eval/local,runs/2/eval/local");
  return command.run(argc, argv, [&] {
    task.bootstrap.seed = command.config().seed;
    print(compare_evaluations(task));
  });
}
