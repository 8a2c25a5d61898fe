#include "train/model_folder.h"

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "base/text.h"
#include "engine/network_facts.h"

namespace hardmoe {

void ModelCard::describe(Fields& f) {
  f.add_section("model", model, "the CNN");
  f.add("tags", tags, "outputs of fc");
  f.add("vocabulary", vocabulary, "SHA-256 of the tags it was trained on");
}

void save_model(const std::filesystem::path& folder, const Model& model) {
  ModelCard card = model.card;
  save_safetensors(folder / "model.safetensors", model.weights, {{"format", "pt"}});
  write_file_atomic(folder / "model.yaml", config_yaml(fields_of(card)));
}

Model load_model(const std::filesystem::path& folder) {
  const auto card_file = folder / "model.yaml";
  const auto base = folder / "base";
  require_file(card_file,
               path_exists(base / "model.yaml")
                   ? fmt::format("a model is in {}", base.string())
                   : "expected a folder written by moe-train-base or moe-train-expert",
               ExitStatus::usage);
  Model model;
  require_as_recorded(card_file);
  load_yaml(card_file, fields_of(model.card));
  const auto weights_file = folder / "model.safetensors";
  require_as_recorded(weights_file);
  model.weights = load_safetensors(weights_file);
  for (const auto& spec : parameters_of(resnet(model.card.model, model.card.tags))) {
    require_tensor(model.weights, spec.name, weights_file.string(), &spec.shape);
  }
  return model;
}

std::string model_hash(const std::filesystem::path& folder) {
  return sha256_of_file(folder / "model.safetensors");
}

std::string base_fingerprint(const std::filesystem::path& folder) {
  const auto record = folder / "stage.json";
  constexpr const char* expert = "moe-train-expert";
  const bool of_expert = path_exists(record) && read_json(record).value("command", "") == expert;
  if (!of_expert) return stage_fingerprint(folder, "moe-train-base");
  const auto number = stage_inputs(folder, expert).value("number", "");
  if (number != "all") {
    fail_usage(
        "{}: is expert {}, trained on its part alone; a base is of moe-train-base, or of "
        "moe-train-expert --expert all",
        folder.string(), number);
  }
  return stage_fingerprint(folder, expert);
}

std::string vocabulary_hash(const Vocabulary& vocabulary) {
  return sha256_hex(join(vocabulary.tags, "\n"));
}

void require_vocabulary(const ModelCard& card, const std::filesystem::path& folder,
                        const Dataset& dataset) {
  if (card.vocabulary == vocabulary_hash(dataset.vocabulary())) return;
  fail_usage(
      "{0} was trained on {1} tags, {2} has {3} and not the same; make {2} again by moe-ingest "
      "--vocabulary with the dataset it was trained on, use that one, or train again",
      folder.string(), card.tags, dataset.folder().string(), dataset.vocabulary().size());
}

}  // namespace hardmoe
