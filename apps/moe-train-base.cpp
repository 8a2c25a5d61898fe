// moe-train-base: dataset → the base CNN.
#include "app.h"
#include "tasks/train_base.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command("moe-train-base",
                  "Train the base CNN on all images of a dataset: the baseline, the source of the "
                  "embedding, and the experts' starting point.\n\nWrites model.safetensors, "
                  "model.yaml, tags.tsv, log.jsonl, TensorBoard events; interrupted, the same "
                  "command resumes.");
  TrainBaseTask task;
  command.dataset_argument(task.dataset);
  command.out_option(task.out, "the model");
  command.setting("--depth", "model.depth");
  command.setting("--stem", "model.stem");
  command.setting("--width", "model.width");
  command.setting("--image-size", "model.image_size");
  command.setting("--init", "base.init")->type_name("PATH");
  command.setting("--epochs", "base.epochs");
  command.setting("--batch", "base.batch");
  command.setting("--lr", "base.lr");
  command.setting("--val-every", "base.val_every");
  command.setting("--precision", "base.precision");
  command.flag("--deterministic", "base.deterministic");
  command.setting("--seed", "seed");
  command.device_option();
  command.stage_options(task.force);
  command.reads({"model", "base"});
  command.example("moe-train-base dataset --out base --width 16 --image-size 48 --epochs 10");
  command.example(
      "moe-train-base dataset --out base --set base.optimizer=adamw --set base.ema=0.999 --lr "
      "0.001");
  command.example("moe-train-base dataset --out base --config configs/tinytags.yaml --device cuda");
  return command.run(argc, argv, [&] { print(train_base(task, command.config())); });
}
