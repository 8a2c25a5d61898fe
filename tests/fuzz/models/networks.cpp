// Folders of trained networks: a model, a decoder, a packed mixture, weights of other programs.
#include <array>

#include "base/folders.h"
#include "engine/network_facts.h"
#include "fuzz/input_files.h"
#include "fuzz/models/targets.h"
#include "nn/architecture.h"
#include "tasks/find_networks.h"
#include "train/decoder_folder.h"
#include "train/model_folder.h"
#include "train/warm_start.h"

namespace hardmoe {
namespace {

/// The network that the seeds of "earlier_weights" are for.
ModelConfig small_transformer() {
  ModelConfig model;
  model.architecture = Architecture::vit;
  model.image_size = 8;
  model.vit.width = 4;
  model.vit.depth = 1;
  model.vit.heads = 1;
  model.vit.patch_size = 8;
  model.vit.mlp_ratio = 1;
  return model;
}

}  // namespace

void fuzz_model(std::string_view bytes) {
  constexpr std::array<std::string_view, 4> names = {"model.yaml", "model.safetensors", "tags.tsv",
                                                     "stage.json"};
  const auto folder = folder_of(bytes, names);
  or_refused([&] { loss_in_stage(folder); });
  or_refused([&] { base_fingerprint(folder); });
  or_refused([&] { load_vocabulary(vocabulary_file(folder)); });
  const ModelCard card = load_model_card(folder);
  or_refused([&] { name_of(card.model); });
  or_refused([&] {
    const Network network = network_of(card.model, card.tags);
    parameter_count(network);
    require(flops_per_image(network) >= 0, "a network of less than no operations");
  });
  const Model model = load_model(folder);
  require(is_same_network(model.card, card), "read again it is another network");
}

void fuzz_earlier_weights(std::string_view bytes) {
  constexpr std::array<std::string_view, 2> names = {"model.safetensors", "config.json"};
  const ModelConfig model = small_transformer();
  const EarlierWeights found = read_earlier_weights(folder_of(bytes, names), model);
  for (const auto& spec : parameters_of(network_of(model, 0))) {
    require(found.tensors.at(spec.name).shape() == spec.shape, "a tensor of another shape");
  }
}

void fuzz_decoder(std::string_view bytes) {
  constexpr std::array<std::string_view, 3> names = {"decoder.yaml", "decoder.safetensors",
                                                     "stage.json"};
  const auto folder = folder_of(bytes, names);
  const DecoderCard card = load_decoder_card(folder);
  const StateDict weights = load_decoder(folder, card.features, card.tags);
  require(weights.at("fc.bias").elements() == card.tags, "as many biases as tags");
}

void fuzz_pack(std::string_view bytes) {
  constexpr std::array<std::string_view, 10> names = {
      "mixture.yaml",         "stage.json",           "tags.tsv",
      "base/model.yaml",      "base/stage.json",      "partition/partition.json",
      "partition/stage.json", "experts/0/stage.json", "experts/1/stage.json",
      "decoder/stage.json"};
  const auto folder = folder_of(bytes, names);
  if (path_exists(folder / "partition")) or_refused([&] { find_networks(folder, "shared"); });
  NetworkFolders networks;
  networks.model = folder;
  std::string decoder;
  or_refused([&] { open_pack(networks, decoder); });
  find_networks(folder);
}

}  // namespace hardmoe
