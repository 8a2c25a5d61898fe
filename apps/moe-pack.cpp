// moe-pack: a mixture's networks as one folder that stands alone.
#include "network_options.h"
#include "tasks/pack.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-pack",
      "Copy what answering takes of a mixture into one folder that stands alone: base, gater, "
      "experts, where there are any shared decoder and router, tags, what images become first, and "
      "a README for whoever is given it. --row names one of the mixtures; a single network's "
      "folder stands alone already. moe-predict takes the folder as RUN, and moe-eval, moe-embed "
      "and others as --model.");
  PackTask task;
  command.cli()
      .add_option("RUN", task.run,
                  "Folder of moe-run, or one with base, partition and experts in it")
      ->required()
      ->type_name("");
  row_option(command, task.row);
  command.out_option(task.out, "the packed mixture");
  command.stage_options(task.force);
  command.example("moe-pack runs/quickstart --out packed");
  command.example("moe-pack runs/quickstart --row shared --out packed-shared");
  return command.run(argc, argv, [&] { print(pack_mixture(task)); });
}
