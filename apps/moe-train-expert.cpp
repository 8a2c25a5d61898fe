// moe-train-expert: dataset + base + partition → one expert, trained on its part.
#include "network_options.h"
#include "tasks/train_expert.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-train-expert",
      "Train one expert on the images the partition gave it. Experts never communicate: "
      "run as many of these at once as there are machines, GPUs or cores.\n\n`--expert "
      "all` trains on every image instead, without --partition: the control \"base trained as "
      "long\".");
  TrainExpertTask task;
  command.dataset_argument(task.dataset);
  base_option(command, task.base)->required();
  partition_option(command, task.partition);
  command.cli()
      .add_option("--expert", task.expert, "Number of the expert from 0; or 'all'")
      ->required()
      ->type_name("K");
  command.cli()
      .add_option(
          "--embedding", task.embedding,
          "The embedding: that which the partition was made of; read for expert.overlap and "
          "expert.outside_from: nearest only")
      ->type_name("PATH");
  command.out_option(task.out, "the expert");
  command.setting("--epochs", "expert.epochs");
  command.setting("--batch", "expert.batch");
  command.setting("--lr", "expert.lr");
  command.setting("--val-every", "expert.val_every");
  command.setting("--precision", "expert.precision");
  command.flag("--deterministic", "expert.deterministic");
  command.setting("--start", "expert.start");
  command.setting("--init-experts", "expert.init")->type_name("DIR");
  command.setting("--seed", "seed");
  command.device_option();
  command.stage_options(task.force);
  command.reads({"expert"});
  command.example(
      "moe-train-expert dataset --base base --partition partition --expert 3 --out experts/3 "
      "--epochs 5");
  command.example(
      "moe-train-expert dataset --base base --expert all --out longer --set expert.warmup=0");
  return command.run(argc, argv, [&] { print(train_expert(task, command.config())); });
}
