#include "train/model_folder.h"

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "base/text.h"
#include "engine/network_facts.h"
#include "nn/architecture.h"
#include "train/config.h"

namespace hardmoe {
namespace {

constexpr FileFormat without_tail{"model", 2}, of_resnets{"model", 3};

const FileFormat& format_of(const ModelConfig& model) {
  if (!is_resnet(model)) return model_format;
  return model.tail.width == 0 ? without_tail : of_resnets;
}

/// The section `model` of a model.yaml that is written, or read.
struct WrittenModel {
  ModelConfig& model;
  bool all;
  void describe(Fields& f) { all ? model.describe_all(f) : model.describe_own(f); }
};

}  // namespace

void ModelCard::describe(Fields& f) {
  const bool read = format.empty();
  WrittenModel written{model, read};
  f.add("format", format, "the number of this file's form");
  f.add_section("model", written, is_resnet(model) ? "the CNN" : "the network");
  f.add_section("input", model.input, "what becomes of an image before it");
  f.add("tags", tags, "outputs of fc");
  f.add("vocabulary", vocabulary, "SHA-256 of the tags it was trained on");
  f.add_enum("loss", loss, loss_names, "what its scores were trained by");
  if (!read && model.tail.width == 0) return;
  f.add_section("tail", model.tail, "last layers of a width of their own");
}

void save_model(const std::filesystem::path& folder, const Model& model) {
  ModelCard card = model.card;
  card.format = format_text(format_of(card.model));
  save_safetensors(folder / "model.safetensors", model.weights, {{"format", "pt"}});
  write_file_atomic(folder / "model.yaml", config_yaml(fields_of(card)));
}

ModelCard load_model_card(const std::filesystem::path& folder) {
  const auto file = folder / "model.yaml";
  require_as_recorded(file);
  ModelCard card;
  card.format.clear();
  const int format = require_format(model_format, yaml_text(file, "format"), file.string());
  load_yaml(file, fields_of(card));
  check_image_input(card.model.input, file.string() + ": input");
  if (format == 1) card.loss = loss_in_stage(folder);
  return card;
}

Model load_model(const std::filesystem::path& folder) {
  const auto card_file = folder / "model.yaml";
  const auto base = folder / "base";
  recorded(card_file);  // throws if its training is not finished
  require_file(
      card_file,
      path_exists(base / "model.yaml")
          ? fmt::format("a model is in {}", base.string())
          : "expected a folder written by moe-train-base, moe-train-sparse or moe-train-expert",
      ExitStatus::usage);
  Model model;
  model.card = load_model_card(folder);
  const auto weights_file = folder / "model.safetensors";
  require_as_recorded(weights_file);
  model.weights = load_safetensors(weights_file);
  for (const auto& spec : parameters_of(network_of(model.card.model, model.card.tags))) {
    require_tensor(model.weights, spec.name, weights_file.string(), &spec.shape);
  }
  return model;
}

bool is_same_network(const ModelCard& a, const ModelCard& b) {
  const auto network = [](ModelCard card) {
    card.format.clear();
    card.loss = {};
    return config_json(fields_of(card));
  };
  return network(a) == network(b);
}

LossKind loss_in_stage(const std::filesystem::path& folder) {
  const auto file = folder / "stage.json";
  if (!path_exists(file)) return LossKind::softmax;
  const Json inputs = read_stage_record(file).value("inputs", Json::object());
  for (const char* section : {"base", "expert", "decoder"}) {  // a fingerprint, or settings
    const auto found = inputs.find(section);
    if (found == inputs.end() || !found->is_object()) continue;
    const bool sigmoid = found->contains("loss") &&
                         json_get<std::string>(*found, "loss", file.string()) == "sigmoid";
    return sigmoid ? LossKind::sigmoid : LossKind::softmax;
  }
  return LossKind::softmax;
}

std::string model_hash(const std::filesystem::path& folder) {
  const auto file = folder / "model.safetensors";
  const auto record = recorded(file);
  if (!record) return sha256_of_file(file);
  require_as_recorded(*record);  // by its CRC-32C, which is faster
  return record->sha256;
}

std::string base_fingerprint(const std::filesystem::path& folder) {
  const auto record = folder / "stage.json";
  constexpr const char* expert = "moe-train-expert";
  const std::string command =
      path_exists(record) ? read_stage_record(record).value("command", "") : "";
  if (command == "moe-train-sparse") {
    fail_usage(
        "{}: has layers of experts; a hard mixture's base is a dense network, of moe-train-base",
        folder.string());
  }
  if (command != expert) return stage_fingerprint(folder, "moe-train-base");
  const auto number =
      json_get<std::string>(stage_inputs(folder, expert), "number", record.string());
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
