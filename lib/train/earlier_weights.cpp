#include "train/warm_start.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/text.h"
#include "engine/network_facts.h"
#include "nn/architecture.h"
#include "nn/sparse.h"
#include "train/model_folder.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* weights_name = "model.safetensors";
constexpr const char* card_name = "model.yaml";

/// The file that holds weights, and the model folder of ours it belongs to, or "".
struct WeightsLocation {
  fs::path file, model;
};

WeightsLocation find_weights(const fs::path& init) {
  const PathKind kind = path_kind(init);
  if (kind == PathKind::nothing) {
    fail_usage("{}: no such file or folder, expected weights to begin with", init.string());
  }
  if (kind == PathKind::file) {
    const fs::path folder = init.has_parent_path() ? init.parent_path() : fs::path(".");
    const bool ours = init.filename() == weights_name && is_file(folder / card_name);
    return {init, ours ? folder : fs::path()};
  }
  if (kind != PathKind::folder) {
    fail_usage("{}: is neither a file nor a folder, expected weights to begin with", init.string());
  }
  const bool ours = is_file(init / card_name);
  if (ours || is_file(init / weights_name)) return {init / weights_name, ours ? init : fs::path()};
  if (is_file(init / "pytorch_model.bin"))
    return {init / "pytorch_model.bin", {}};  // refused later
  fail_usage(
      "{}: holds no {}; {}", init.string(), weights_name,
      is_file(init / "base" / card_name)
          ? fmt::format("a model is in {}", (init / "base").string())
          : "expected a folder of moe-train-base, moe-train-sparse or moe-train-expert, or one "
            "of timm's");
}

/// Refuses torchvision's downloads, which torch.save writes as a zip archive or a pickle.
void refuse_pickle(const fs::path& file) {
  const InputFile input(file);
  std::array<char, 4> first{};
  if (input.size() < first.size()) return;
  input.read_at(0, first.data(), first.size());
  const std::string_view begin(first.data(), first.size());
  if (begin != "PK\x03\x04" && !begin.starts_with("\x80\x02")) return;
  fail_usage(
      "{0}: was written by torch.save, expected .safetensors; convert it: python3 -c 'import "
      "torch, "
      "safetensors.torch as s; s.save_file(torch.load(\"{0}\", weights_only=True), \"{1}\")'",
      file.string(), fs::path(file).replace_extension(".safetensors").string());
}

/// Removes the prefix that wrappers put before every name: "module." (DataParallel), "_orig_mod."
/// (torch.compile).
StateDict without_prefix(StateDict tensors) {
  constexpr std::string_view first = "conv1.weight";
  std::optional<std::string> prefix;
  for (const auto& [name, tensor] : tensors) {
    if (!name.ends_with(first)) continue;
    const std::string before = name.substr(0, name.size() - first.size());
    if (!prefix || before.size() < prefix->size()) prefix = before;
  }
  if (!prefix || prefix->empty() || !prefix->ends_with('.')) return tensors;
  StateDict bare;
  for (auto& [name, tensor] : tensors) {
    if (!name.starts_with(*prefix)) return tensors;
    bare.emplace(name.substr(prefix->size()), tensor);
  }
  return bare;
}

/// Whether a tensor is of the classifier, which timm calls `head` in Vision Transformers.
bool is_head(std::string_view name, const ModelConfig& model) {
  if (name == "fc.weight" || name == "fc.bias") return true;
  const bool transformer = model.architecture == Architecture::vit;
  return transformer && (name == "head.weight" || name == "head.bias");
}

/// Returns the first difference between the tensors and the model's trunk; "" if there is none.
std::string misfit(const StateDict& tensors, const ModelConfig& model) {
  const auto specs = parameters_of(network_of(model, 0));
  for (const auto& spec : specs) {
    const auto found = tensors.find(spec.name);
    if (found == tensors.end()) {
      return fmt::format("tensor '{}' is missing, expected shape {}", spec.name,
                         to_string(spec.shape));
    }
    if (found->second.shape() != spec.shape) {
      return fmt::format("tensor '{}' has shape {}, expected {}", spec.name,
                         to_string(found->second.shape()), to_string(spec.shape));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    const bool known = is_head(name, model) || name.ends_with(".num_batches_tracked") ||
                       std::ranges::find(specs, name, &ParameterSpec::name) != specs.end();
    if (known) continue;
    return fmt::format("tensor '{}' has shape {}, expected none of that name", name,
                       to_string(tensor.shape()));
  }
  return "";
}

/// Returns the options of the network that the tensors belong to; "" if it is none of ours.
std::string options_for(const StateDict& tensors) {
  const auto first = tensors.find("conv1.weight");
  if (first == tensors.end() || first->second.shape().size() != 4) return "";
  const int64_t width = first->second.size(0);
  if (width < 1 || width > 1024) return "";
  for (const int depth : {18, 34, 50}) {
    for (const Stem stem : {Stem::imagenet, Stem::small}) {
      const ModelConfig model{depth, stem, static_cast<int>(width), 224};
      if (!misfit(tensors, model).empty()) continue;
      return fmt::format("--depth {} --width {} --stem {}", depth, width,
                         stem == Stem::small ? "small" : "imagenet");
    }
  }
  return "";
}

void require_fit(const StateDict& tensors, const ModelConfig& model, const fs::path& file) {
  const std::string fault = misfit(tensors, model);
  if (fault.empty()) return;
  const auto gate =
      std::ranges::find_if(tensors, [](const auto& tensor) { return is_gate_state(tensor.first); });
  if (gate != tensors.end() && model.sparse.kind == SparseKind::none) {
    fail_usage("{}: has layers of experts (tensor '{}'), expected the weights of a {}",
               file.string(), gate->first, name_of(model));
  }
  const std::string options = options_for(tensors);
  if (!is_resnet(model)) {
    fail_usage("{}: {}; these are not the weights of a {}", file.string(), fault, name_of(model));
  }
  if (options.empty()) {
    fail_usage(
        "{}: {}; these are not the weights of a ResNet-18, 34 or 50 with torchvision's names",
        file.string(), fault);
  }
  fail_usage("{}: {}; these weights are of {} (model.depth, model.width, model.stem): set that",
             file.string(), fault, options);
}

/// Returns a float32 copy. Throws Error for values with which no network can compute.
Tensor usable(const std::string& name, const Tensor& tensor, const fs::path& file) {
  const DType type = tensor.dtype();
  if (type != DType::f32 && type != DType::f64 && type != DType::f16 && type != DType::bf16) {
    fail_usage("{}: tensor '{}' is of type {}, expected floating point", file.string(), name,
               name_of(type));
  }
  Tensor values = to_float32(tensor);
  const bool variance = name.ends_with("running_var");
  for (const float value : values.as<float>()) {
    if (std::isfinite(value) && (!variance || value >= 0)) continue;
    fail("{}: tensor '{}' holds {}; these are not the weights of a trained network", file.string(),
         name, value);
  }
  return values;
}

std::string channels(const std::array<double, 3>& values) {
  std::vector<std::string> texts;
  for (const double value : values) texts.push_back(fmt::format("{:.3g}", value));
  return join(texts, ", ");
}

/// Returns a warning if images were normalised otherwise than `ours`; "" if not.
std::string normalisation_warning(const fs::path& file, const ImageInput& theirs,
                                  const ImageInput& ours) {
  const auto differs = [](const std::array<double, 3>& a, const std::array<double, 3>& b) {
    for (size_t c = 0; c < 3; ++c) {
      if (std::abs(a[c] - b[c]) > 1e-3) return true;
    }
    return false;
  };
  if (!differs(theirs.mean, ours.mean) && !differs(theirs.deviation, ours.deviation)) return "";
  return fmt::format(
      "{}: trained on images normalised by mean {} and deviation {}; here they are by ImageNet's, "
      "so that training begins with a step back",
      file.string(), channels(theirs.mean), channels(theirs.deviation));
}

/// Checks timm's config.json beside the weights. Refuses architectures that compute something else
/// with tensors of the same shapes (resnetblur50, resnetaa50). Returns a warning if the images were
/// normalised by other means and deviations than ours.
std::string check_timm_config(const fs::path& file, const ImageInput& ours) {
  const fs::path config = file.parent_path() / "config.json";
  if (!is_file(config)) return "";
  const Json json = read_json(config);
  const auto member = [](const Json& from, const char* key) {
    return from.is_object() && from.contains(key) ? from[key] : Json();
  };
  const Json architecture = member(json, "architecture");
  if (architecture.is_string()) {
    const auto name = architecture.get<std::string>();
    const bool plain = name == "resnet18" || name == "resnet34" || name == "resnet50";
    if (name.starts_with("resnet") && !plain) {
      fail_usage("{}: the architecture is '{}', expected resnet18, resnet34 or resnet50",
                 config.string(), name);
    }
  }
  ImageInput theirs;
  const auto read = [&](const char* key, std::array<double, 3>& into) {
    const Json list = member(member(json, "pretrained_cfg"), key);
    if (!list.is_array() || list.size() != 3) return;
    for (const Json& value : list) {
      if (!value.is_number()) return;
    }
    into = list.get<std::array<double, 3>>();
  };
  read("mean", theirs.mean);
  read("std", theirs.deviation);
  return normalisation_warning(config, theirs, ours);
}

/// Returns the tags of an earlier model's rows; empty if its folder has no tags.tsv.
std::vector<std::string> tags_of(const fs::path& model, const ModelCard& card) {
  const fs::path file = model / model_tags_name;
  if (!is_file(file)) return {};
  Vocabulary vocabulary = load_vocabulary(file);
  if (vocabulary_hash(vocabulary) != card.vocabulary) {
    fail("{}: these are not the tags that {} names; put back the model's own, or remove the file",
         file.string(), (model / card_name).string());
  }
  return std::move(vocabulary.tags);
}

}  // namespace

EarlierWeights read_earlier_weights(const fs::path& init, const ModelConfig& model) {
  const WeightsLocation found_at = find_weights(init);
  EarlierWeights earlier{.file = found_at.file,
                         .tensors = {},
                         .vocabulary = "",
                         .tags = {},
                         .identity = Json::object(),
                         .warning = ""};
  StateDict found;
  if (found_at.model.empty()) {
    refuse_pickle(found_at.file);
    found = without_prefix(load_safetensors(found_at.file));
  } else {
    Model own = load_model(found_at.model);
    found = std::move(own.weights);
    earlier.vocabulary = own.card.vocabulary;
    earlier.tags = tags_of(found_at.model, own.card);
    earlier.identity["vocabulary"] = own.card.vocabulary;
    earlier.warning =
        normalisation_warning(found_at.model / card_name, own.card.model.input, model.input);
  }
  require_fit(found, model, found_at.file);
  if (found_at.model.empty()) earlier.warning = check_timm_config(found_at.file, model.input);
  for (const auto& [name, tensor] : found) {
    if (name.ends_with(".num_batches_tracked") || (is_head(name, model) && found_at.model.empty()))
      continue;
    earlier.tensors.emplace(name, usable(name, tensor, found_at.file));
  }
  earlier.identity["weights"] = sha256_of_file(found_at.file);
  return earlier;
}

}  // namespace hardmoe
