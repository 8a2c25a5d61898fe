// moe-train-router: dataset + base + partition → a small CNN that gives the partition's experts.
#include "network_options.h"
#include "tasks/train_router.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-train-router",
      "Train a small CNN to give each image's expert, so that moe-eval and moe-embed --router need "
      "not compute the base: an image then costs the router and one expert. Its default size takes "
      "at most 15% of the base's FLOPs.\n\nWrites a model whose tags are the experts; prints its "
      "share of the base's FLOPs and how often it agrees with the partition on images of the split "
      "'selection', else 'val'.");
  TrainRouterTask task;
  command.dataset_argument(task.dataset);
  base_option(command, task.base)->required();
  partition_option(command, task.partition)->required();
  command.out_option(task.out, "the router");
  command.setting("--prefix", "router.prefix");
  command.setting("--width", "router.width");
  command.setting("--image-size", "router.image_size");
  command.setting("--init", "router.init")->type_name("PATH");
  command.setting("--epochs", "router.epochs");
  command.setting("--batch", "router.batch");
  command.setting("--lr", "router.lr");
  command.setting("--precision", "router.precision");
  command.flag("--deterministic", "router.deterministic");
  command.setting("--seed", "seed");
  command.device_option();
  command.stage_options(task.force);
  command.reads({"router"});
  command.example("moe-train-router dataset --base base --partition partition --out router");
  return command.run(argc, argv, [&] { print(train_router(task, command.config())); });
}
