#include "train/decoder_folder.h"

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/recorded.h"
#include "train/config.h"
#include "train/model_folder.h"

namespace hardmoe {
namespace {

constexpr FileFormat of_experts_features{"decoder", 2};

}  // namespace

void DecoderCard::describe(Fields& f) {
  f.add("format", format, "the number of this file's form");
  f.add("features", features, "values of an image's feature: columns of fc.weight");
  f.add("tags", tags, "rows of fc.weight");
  f.add("vocabulary", vocabulary, "SHA-256 of the tags it was trained on");
  f.add_enum("loss", loss, loss_names, "what its scores were trained by");
  if (format == format_text(of_experts_features)) return;
  f.add_enum("embedding", embedding, embedding_kinds, "what an image's feature is");
  f.add("base_share", base_share, "of the base in a blend");
}

std::vector<std::string> save_decoder(const std::filesystem::path& folder, const StateDict& weights,
                                      DecoderCard card, const Vocabulary& vocabulary) {
  const Tensor& weight =
      require_tensor(weights, "fc.weight", (folder / decoder_weights_name).string());
  card.features = weight.size(1);
  card.tags = weight.size(0);
  card.vocabulary = vocabulary_hash(vocabulary);
  card.format =
      format_text(card.embedding == EmbeddingKind::expert ? of_experts_features : decoder_format);
  save_safetensors(folder / decoder_weights_name, weights, {{"format", "pt"}});
  write_file_atomic(folder / decoder_card_name, config_yaml(fields_of(card)));
  save_vocabulary(folder / model_tags_name, vocabulary);
  return {decoder_weights_name, decoder_card_name, model_tags_name};
}

DecoderCard load_decoder_card(const std::filesystem::path& folder) {
  const auto file = folder / decoder_card_name;
  DecoderCard card;
  if (!path_exists(file)) return card;
  require_as_recorded(file);
  card.format.clear();
  require_format(decoder_format, yaml_text(file, "format"), file.string());
  load_yaml(file, fields_of(card));
  return card;
}

StateDict load_decoder(const std::filesystem::path& folder, int64_t features, int64_t tags) {
  load_decoder_card(folder);
  const auto file = folder / decoder_weights_name;
  require_as_recorded(file);
  StateDict weights = load_safetensors(file);
  const Shape weight = {tags, features};
  const Shape bias = {tags};
  require_tensor(weights, "fc.weight", file.string(), &weight);
  require_tensor(weights, "fc.bias", file.string(), &bias);
  return weights;
}

}  // namespace hardmoe
