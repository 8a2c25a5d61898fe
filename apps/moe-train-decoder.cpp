// moe-train-decoder: experts → one decoding layer over all of them.
#include "network_options.h"
#include "tasks/train_decoder.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command("moe-train-decoder",
                  "Train the decoding layer that all experts share, on frozen trunks: each "
                  "training image's feature is computed once by its own expert, then one linear "
                  "layer is trained from the base's. --features is checked and not needed, as the "
                  "partition has the training images' experts; with decoder.split selection it has "
                  "the rows of that split.\n\nWrites train.npy, the unified "
                  "embedding (float32 N×D), decoder.safetensors (fc.weight, fc.bias), decoder.yaml "
                  "and tags.tsv.");
  TrainDecoderTask task;
  command.dataset_argument(task.dataset);
  base_option(command, task.base)->required();
  partition_option(command, task.partition)->required();
  experts_option(command, task.experts)->required();
  features_option(command, task.features);
  command.out_option(task.out, "the decoder");
  command.setting("--epochs", "decoder.epochs");
  command.setting("--batch", "decoder.batch");
  command.setting("--lr", "decoder.lr");
  command.setting("--val-every", "decoder.val_every");
  command.setting("--embedding-kind", "mixture.embedding");
  command.setting("--base-share", "mixture.base_share");
  command.setting("--seed", "seed");
  command.device_option();
  command.stage_options(task.force);
  command.reads({"decoder", "mixture"});
  command.example(
      "moe-train-decoder dataset --base base --partition partition --experts experts --out "
      "decoder");
  return command.run(argc, argv, [&] { print(train_decoder(task, command.config())); });
}
