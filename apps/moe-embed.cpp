// moe-embed: dataset + network → the network's features of every image.
#include "network_options.h"
#include "tasks/embed.h"
#include "tasks/find_networks.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-embed",
      "Write the features of a dataset's images: OUT/SPLIT.npy, float32 N×D (float16 with --half), "
      "row i for image i. Of a single network (--model) its pooled features; of a mixture (--base "
      "--partition --experts) the unified embedding: each image's feature from the expert that its "
      "base's feature, or its row of --features, leads to. The dataset may have other tags than "
      "the network was trained on.");
  EmbedTask task;
  command.dataset_argument(task.dataset);
  add_network_options(command, task.networks);
  add_sparse_options(command, task.networks.sparse);
  command.cli()
      .add_option(
          "--decoder", task.decoder,
          "Shared decoder; what it reads is embedded (default: what mixture.embedding says)")
      ->type_name("DIR")
      ->excludes("--model");
  command.out_option(task.out, "the embedding");
  command.cli()
      .add_option("--split", task.splits, "Split to read; several may follow")
      ->type_name("NAME")
      ->default_str("train");
  command.cli()
      .add_option(
          "--part", task.part,
          "Embed one of N equal parts of the images, into a folder of its own in OUT, as tasks "
          "of an array do; moe-partition reads all of them as one (of --model alone)")
      ->type_name("I/N");
  command.flag("--half", "embed.half");
  command.setting("--precision", "embed.precision");
  command.setting("--use-prices", "eval.use_prices");
  command.device_option();
  command.stage_options(task.force);
  command.reads({"embed", "mixture"});
  command.example("moe-embed dataset --model base --out embedding");
  command.example(
      "moe-embed dataset --base base --partition partition --experts experts --split train val "
      "--out unified");
  command.example("moe-embed dataset --model base --part 3/16 --out embedding");
  return command.run(argc, argv, [&] {
    open_pack(task.networks, task.decoder);
    print(embed_images(task, command.config()));
  });
}
