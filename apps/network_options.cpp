#include "network_options.h"

namespace hardmoe {
namespace {

void add_mixture_options(Command& command, NetworkFolders& networks, CLI::Option* single) {
  base_option(command, networks.base)->excludes(single);
  partition_option(command, networks.partition)->excludes(single);
  experts_option(command, networks.experts)->excludes(single);
  auto* features = features_option(command, networks.features)->excludes(single);
  command.cli()
      .add_option("--router", networks.router,
                  "Folder of moe-train-router: it routes the images, and the base is not computed")
      ->type_name("DIR")
      ->excludes(single)
      ->excludes(features);
}

}  // namespace

CLI::Option* base_option(Command& command, std::string& folder) {
  return command.cli()
      .add_option("--base", folder,
                  "Folder of the base, written by moe-train-base or moe-train-expert --expert all")
      ->type_name("DIR");
}

CLI::Option* partition_option(Command& command, std::string& folder) {
  return command.cli()
      .add_option("--partition", folder, "Folder written by moe-partition")
      ->type_name("DIR");
}

CLI::Option* experts_option(Command& command, std::string& folder) {
  return command.cli()
      .add_option("--experts", folder, "Folder that holds the experts' folders 0, 1, …")
      ->type_name("DIR");
}

CLI::Option* features_option(Command& command, std::vector<std::string>& files) {
  return command.cli()
      .add_option("--features", files,
                  "Where the partition was made of an external embedding: its rows of the "
                  "images to look at, one an image in the split's order; .npy files, with commas "
                  "or blanks between, or folders of such parts")
      ->type_name("FILE.npy[,…]");
}

void run_argument(Command& command, std::string& folder) {
  command.cli()
      .add_option(
          "RUN", folder,
          "Folder of moe-run, of a model (moe-train-base, moe-train-sparse …), or of moe-pack")
      ->required()
      ->type_name("");
}

CLI::Option* images_argument(Command& command, std::vector<std::string>& images) {
  return command.cli()
      .add_option(
          "IMAGE", images,
          "Image, folder or tar; or - for standard input: a list of such names, an image or "
          "a tar")
      ->type_name("");
}

CLI::Option* row_option(Command& command, std::string& row, const std::string& usual) {
  return command.cli()
      .add_option("--row", row,
                  "Which networks of a run, by the key of their row in its table: local (the "
                  "mixture with local decoders), shared, base, longer, router, finetune, reroute … "
                  "(default: " +
                      usual + ")")
      ->type_name("KEY");
}

void add_sparse_options(Command& command, SparseOverride& sparse) {
  command.cli()
      .add_option("--chosen", sparse.chosen,
                  "Experts that compute an image or a token; of a model of moe-train-sparse "
                  "(default: as it was trained)")
      ->type_name("N");
  command.cli()
      .add_option("--capacity", sparse.capacity,
                  "Tokens an expert takes at most, over those of an even share, rounded up to a "
                  "multiple of 4; of a model of kind vmoe (default: as it was trained)")
      ->type_name("NUMBER");
  command.cli().add_flag_function(
      "--priority,!--no-priority", [&](int64_t times) { sparse.priority = times > 0; },
      "Full experts keep the tokens with the greatest gates, or the first ones; of a model of kind "
      "vmoe (default: as it was trained)");
}

void add_network_options(Command& command, NetworkFolders& networks) {
  auto* single = command.cli()
                     .add_option("--model", networks.model,
                                 "A network: folder of moe-train-base, moe-train-expert or "
                                 "moe-train-sparse; or a mixture "
                                 "packed by moe-pack")
                     ->type_name("DIR");
  add_mixture_options(command, networks, single);
}

void add_network_options(Command& command, NetworkFolders& networks,
                         std::vector<std::string>& models) {
  auto* several =
      command.cli()
          .add_option("--model", models,
                      "A network: folder of moe-train-base, moe-train-expert or moe-train-sparse; "
                      "several, each after a --model: averaged as mixture.mix says; "
                      "or a mixture packed by moe-pack")
          ->type_name("DIR")
          ->allow_extra_args(false);
  add_mixture_options(command, networks, several);
}

}  // namespace hardmoe
