// moe-train-sparse: dataset → a network with sparsely-gated layers of experts.
#include "app.h"
#include "tasks/train_sparse.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-train-sparse",
      "Train a network in which a gate chooses a few of many experts for each image or token, as "
      "Shazeer et al. 2017, Pavlitska et al. 2022 or Riquelme et al. 2021 (V-MoE) do: what a hard "
      "mixture is compared with. The section model says which network, sparse.layer which of its "
      "layers have experts, and of which kind.\n\nWrites what moe-train-base does, for the same "
      "commands; log.jsonl also tells how evenly experts are used. Interrupted, the same command "
      "resumes.");
  TrainSparseTask task;
  command.dataset_argument(task.dataset);
  command.out_option(task.out, "the model");
  command.setting("--kind", "sparse.layer.kind");
  command.setting("--layer-experts", "sparse.layer.experts");
  command.setting("--chosen", "sparse.layer.chosen");
  command.setting("--width", "model.width");
  command.setting("--image-size", "model.image_size");
  command.setting("--init", "sparse.init")->type_name("PATH");
  command.setting("--epochs", "sparse.epochs");
  command.setting("--batch", "sparse.batch");
  command.setting("--lr", "sparse.lr");
  command.setting("--val-every", "sparse.val_every");
  command.setting("--precision", "sparse.precision");
  command.flag("--deterministic", "sparse.deterministic");
  command.setting("--seed", "seed");
  command.device_option();
  command.stage_options(task.force);
  command.reads({"model", "sparse"});
  command.example(
      "moe-train-sparse dataset --out sparse --width 16 --image-size 48 --layer-experts 8 --chosen "
      "2");
  command.example(
      "moe-train-sparse dataset --out sparse --kind pavlitska --set sparse.layer.stages=[3,4] "
      "--set "
      "sparse.layer.constraint=mean");
  command.example(
      "moe-train-sparse dataset --out vmoe --kind vmoe --image-size 32 --lr 0.003 --set "
      "model.architecture=vit --set model.vit.width=64 --set model.vit.depth=4 --set "
      "model.vit.heads=2 --set sparse.optimizer=adamw");
  return command.run(argc, argv, [&] { print(train_sparse(task, command.config())); });
}
