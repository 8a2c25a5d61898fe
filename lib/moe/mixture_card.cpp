#include "moe/mixture_card.h"

#include "base/files.h"

namespace hardmoe {

void AnswerSettings::describe(Fields& f) {
  f.add("top_experts", top_experts, "experts that answer for an image");
  f.add("temperature", temperature,
        "T of their weights, softmax(-d^2/T); 0: not known, and needed where several answer");
  f.add("use_prices", use_prices, "the gater routes by d^2 + price; false: by distance alone");
  f.add("base_share", base_share, "a in a*base + (1-a)*expert: the base's share of the answer");
  f.add_enum("mix", mix, mix_names, "what is averaged: logarithms of probabilities, or these");
  f.add_enum("precision", precision, {"fp32", "tf32", "bf16"},
             "arithmetic of convolutions, where the device has it");
}

void MixtureCard::describe(Fields& f) {
  f.add("format", format, "the number of this folder's form");
  f.add("row", row, "which mixture of its run it is, by the key of its row");
  f.add("experts", experts, "folders in experts/, from 0 on");
  f.add("tags", tags, "lines of tags.tsv behind the heading");
  f.add("shared_decoder", shared_decoder,
        "decoder/ scores for all experts; false: each its own fc");
  f.add("router", router, "router/ chooses the experts; false: the gater in partition/ does");
  f.add_section("answer", answer, "how the networks' answers become one");
}

MixtureCard load_mixture_card(const std::filesystem::path& folder) {
  const auto file = folder / mixture_card_name;
  MixtureCard card;
  require_format(mixture_format, yaml_text(file, "format"), file.string());
  load_yaml(file, fields_of(card));
  return card;
}

void save_mixture_card(const std::filesystem::path& folder, MixtureCard card) {
  write_file_atomic(folder / mixture_card_name, config_yaml(fields_of(card)));
}

}  // namespace hardmoe
