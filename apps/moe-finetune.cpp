// moe-finetune: experts + shared decoder → the same, trained further together.
#include "network_options.h"
#include "tasks/finetune.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-finetune",
      "Train all experts' trunks and their shared decoder together, for a last share of "
      "the budget: in turns, each expert takes a few steps on its own images with the "
      "decoder as the one before left it. One process.\n\nWrites OUT/experts/0, 1, … "
      "and OUT/decoder, for --experts and --decoder of other commands.");
  FinetuneTask task;
  command.dataset_argument(task.dataset);
  base_option(command, task.base)->required();
  partition_option(command, task.partition)->required();
  experts_option(command, task.experts)->required();
  command.cli()
      .add_option("--decoder", task.decoder, "Shared decoder (of moe-train-decoder)")
      ->required()
      ->type_name("DIR");
  command.out_option(task.out, "experts and decoder");
  command.setting("--epochs", "finetune.epochs");
  command.setting("--batch", "finetune.batch");
  command.setting("--lr", "finetune.lr");
  command.setting("--turn-steps", "finetune.turn_steps");
  command.setting("--precision", "finetune.precision");
  command.flag("--deterministic", "finetune.deterministic");
  command.setting("--seed", "seed");
  command.device_option();
  command.stage_options(task.force);
  command.reads({"finetune"});
  command.example(
      "moe-finetune dataset --base base --partition partition --experts experts --decoder decoder "
      "--out tuned");
  return command.run(argc, argv, [&] { print(finetune(task, command.config())); });
}
