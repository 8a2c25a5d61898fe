#include "moe/mixture.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/folders.h"
#include "base/json_field.h"
#include "base/log.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "base/text.h"
#include "engine/network_facts.h"
#include "engine/ops/capacity.h"
#include "moe/shared_stages.h"
#include "moe/unified_embedding.h"
#include "nn/architecture.h"
#include "nn/resnet.h"
#include "nn/vmoe.h"
#include "train/decoder_folder.h"
#include "train/probability.h"

namespace hardmoe {
namespace fs = std::filesystem;

namespace {

/// Returns the command that made an expert or a decoder: moe-finetune if that trained it further,
/// else `usual`.
std::string maker_of(const fs::path& folder, const std::string& usual) {
  constexpr const char* joint = "moe-finetune";
  const fs::path record = folder / "stage.json";
  const bool jointly =
      path_exists(record) && read_stage_record(record).value("command", "") == joint;
  return jointly ? joint : usual;
}

/// Throws Error(usage) unless expert k was trained from this base on these images of this dataset.
/// Returns the dataset's fingerprint.
std::string require_expert(const fs::path& folder, int64_t k, const std::string& base,
                           const std::string& images, const std::string& dataset) {
  if (!path_exists(folder / "model.yaml")) {
    fail_usage("{}: no trained expert there; run moe-train-expert --expert {} --out {} first",
               folder.string(), k, folder.string());
  }
  const Json inputs = stage_inputs(folder, maker_of(folder, "moe-train-expert"));
  const std::string where = (folder / "stage.json").string();
  const auto require = [&](const char* key, const std::string& expected, const char* what) {
    if (json_get<std::string>(inputs, key, where) == expected) return;
    fail_usage(
        "{}: this expert was trained {}; give the folders it was trained with, or train expert {} "
        "again",
        folder.string(), what, k);
  };
  require("number", std::to_string(k), "as another expert");
  require("base", base, "from another base");
  require("images", images, "on another partition");
  if (!dataset.empty()) require("dataset", dataset, "on another dataset");
  return json_get<std::string>(inputs, "dataset", where);
}

/// Throws Error(usage) unless the decoder was trained over this mixture (its identity). With
/// DecoderMatch::stale, warns instead if it was trained over other experts of the same base.
void require_decoder(const fs::path& decoder, const Json& mixture, DecoderMatch match) {
  const Json inputs = stage_inputs(decoder, maker_of(decoder, "moe-train-decoder"));
  const std::string where = (decoder / "stage.json").string();
  if (json_get<std::string>(inputs, "base", where) != mixture.at("base")) {
    fail_usage(
        "{}: this decoder was trained over experts of another base; train one over these experts",
        decoder.string());
  }
  std::vector<std::string> others;
  if (json_get<std::string>(inputs, "partition", where) != mixture.at("partition")) {
    others.emplace_back("another partition");
  }
  const Json& was = json_list(inputs, "experts", where);
  const Json& is = mixture.at("experts");
  std::vector<std::string> changed;
  for (size_t k = 0; k < std::min(was.size(), is.size()); ++k) {
    if (was[k] != is[k]) changed.push_back(std::to_string(k));
  }
  if (was.size() != is.size()) {
    others.push_back(fmt::format("{} experts, not {}", was.size(), is.size()));
  } else if (!changed.empty()) {
    others.push_back("another training of experts " + join(changed, ", "));
  }
  if (others.empty()) return;
  const std::string how = join(others, " and ");
  if (match == DecoderMatch::exact) {
    fail_usage(
        "{}: this decoder was trained for {}; train it again, or use it as it is with "
        "--stale-decoder",
        decoder.string(), how);
  }
  log_warning(
      "{}: this decoder was trained for {}; one trained over these experts may score better",
      decoder.string(), how);
}

}  // namespace

bool is_external_embedding(const Json& partition_inputs) {
  return !partition_inputs.contains("model");
}

void require_partition_of(const fs::path& partition, const fs::path& base,
                          const std::string& dataset) {
  const Json inputs = stage_inputs(partition, "moe-partition");
  const std::string where = (partition / "stage.json").string();
  const std::string model = model_hash(base);
  if (json_get_or(inputs, "model", model, where) != model) {
    fail_usage(
        "{}: this partition was made from the embedding of another model than {}; embed with that "
        "and partition "
        "again",
        partition.string(), base.string());
  }
  if (!dataset.empty() && json_get_or(inputs, "dataset", dataset, where) != dataset) {
    fail_usage(
        "{}: this partition was made from another dataset's embedding; embed this dataset and "
        "partition again",
        partition.string());
  }
}

Mixture open_mixture(const fs::path& base, const fs::path& partition, const fs::path& experts,
                     const fs::path& decoder, DecoderMatch match) {
  Mixture mixture;
  mixture.base = load_model(base);
  mixture.partition = load_partition(partition);
  const auto& card = mixture.base.card;
  const int64_t features = feature_size(network_of(card.model, 0));
  require_partition_of(partition, base, "");
  const Json partition_inputs = stage_inputs(partition, "moe-partition");
  mixture.external_embedding = is_external_embedding(partition_inputs);
  mixture.dataset =
      json_get_or(partition_inputs, "dataset", std::string(), (partition / "stage.json").string());
  const std::string base_identity = base_fingerprint(base);
  const int64_t count = mixture.partition.gater.experts;
  const auto parts = items_by_expert(mixture.partition.assignment, count);
  for (int64_t k = 0; k < count; ++k) {
    const fs::path folder = experts / std::to_string(k);
    mixture.dataset =
        require_expert(folder, k, base_identity,
                       fingerprint_of_items(parts[static_cast<size_t>(k)]), mixture.dataset);
    mixture.experts.push_back(folder);
    mixture.losses.push_back(loss_of(decoder.empty() ? folder : decoder));
  }
  mixture.shared_cut = shared_cut(mixture.base, mixture.experts);
  if (!decoder.empty()) {
    require_file(decoder / decoder_weights_name, "expected a folder written by moe-train-decoder",
                 ExitStatus::usage);
    require_decoder(decoder, mixture_identity(mixture, base, partition), match);
    const DecoderCard decoder_card = load_decoder_card(decoder);
    mixture.embedding = decoder_card.embedding;
    mixture.embedding_share = decoder_card.base_share;
    mixture.decoder =
        load_decoder(decoder, embedding_width(mixture.embedding, features), card.tags);
  }
  return mixture;
}

bool router_shares(const Mixture& mixture) {
  if (!mixture.router || !mixture.shared_cut) return false;
  const Tail& tail = mixture.router->card.model.tail;
  return tail.width > 0 && tail.behind <= *mixture.shared_cut;
}

std::optional<int> common_cut(const Mixture& mixture) {
  return router_shares(mixture) ? mixture.router->card.model.tail.behind : mixture.shared_cut;
}

Json mixture_identity(const Mixture& mixture, const fs::path& base, const fs::path& partition) {
  Json identity = {{"base", base_fingerprint(base)},
                   {"partition", stage_fingerprint(partition, "moe-partition")}};
  for (const auto& folder : mixture.experts) {
    identity["experts"].push_back(stage_fingerprint(folder, maker_of(folder, "moe-train-expert")));
  }
  return identity;
}

std::string decoder_fingerprint(const fs::path& decoder) {
  return stage_fingerprint(decoder, maker_of(decoder, "moe-train-decoder"));
}

StateDict expert_state_dict(const Mixture& mixture, int64_t k) {
  const fs::path& folder = mixture.experts.at(static_cast<size_t>(k));
  Model expert = load_model(folder);
  if (!is_same_network(expert.card, mixture.base.card)) {
    fail(
        "{}: this expert's model.yaml differs from the base's; all experts of a mixture need the "
        "base's architecture and tags",
        folder.string());
  }
  if (mixture.decoder && mixture.embedding == EmbeddingKind::expert) {
    for (const auto& [name, tensor] : *mixture.decoder)
      expert.weights.insert_or_assign(name, tensor);
  }
  return std::move(expert.weights);
}

Tensor embed(Inference& inference, const Split& split, const std::vector<int64_t>& items) {
  const int64_t width = feature_size(inference.network());
  Tensor embedding(DType::f32, {static_cast<int64_t>(items.size()), width});
  inference.run(split, items,
                [&](int64_t position, int64_t, std::span<const float> features, auto) {
                  std::copy(features.begin(), features.end(),
                            embedding.as<float>().data() + position * width);
                });
  return embedding;
}

std::vector<std::vector<int64_t>> items_by_expert(const std::vector<uint16_t>& assignment,
                                                  int64_t experts) {
  std::vector<std::vector<int64_t>> parts(static_cast<size_t>(experts));
  for (size_t i = 0; i < assignment.size(); ++i) {
    parts.at(assignment[i]).push_back(static_cast<int64_t>(i));
  }
  return parts;
}

std::string fingerprint_of_items(const std::vector<int64_t>& items) {
  return sha256_hex({reinterpret_cast<const char*>(items.data()), items.size() * sizeof(int64_t)});
}

Cost model_cost(const ModelCard& card) {
  const Network network = network_of(card.model, card.tags);
  return {parameter_count(network), flops_per_image(network)};
}

Cost trunks_cost(const Mixture& mixture, int64_t count) {
  if (count == 0) return {};
  const ModelConfig& model = mixture.base.card.model;
  const Network trunk = network_of(model, 0);
  Cost cost = {count * parameter_count(trunk), static_cast<double>(count) * flops_per_image(trunk)};
  const auto cut = common_cut(mixture);
  if (!cut) return cost;
  const Network shared = resnet_until(model, *cut);
  cost.parameters -= (count - 1) * parameter_count(shared);
  cost.flops -= static_cast<double>(count - 1) * flops_per_image(shared);
  return cost;
}

Cost router_cost(const Mixture& mixture) {
  if (!mixture.router) return {};
  const ModelCard& card = mixture.router->card;
  if (!router_shares(mixture)) return model_cost(card);
  const Network tail = resnet_from(card.model, card.model.tail.behind, card.tags);
  return {parameter_count(tail), flops_per_image(tail)};
}

Cost mixture_cost(const Mixture& mixture, int64_t top_experts, bool base) {
  const ModelCard& card = mixture.base.card;
  const int64_t features = feature_size(network_of(card.model, 0));
  const Network decoder = linear_decoder(embedding_width(mixture.embedding, features), card.tags);
  const int64_t experts = mixture.partition.gater.experts;
  const int64_t decoders = mixture.decoder ? 1 : experts;
  const bool routes = !mixture.external_embedding && !mixture.router;
  const int64_t bases = routes || base || mixture.embedding != EmbeddingKind::expert ? 1 : 0;
  const Cost router = router_cost(mixture);
  Cost cost = {trunks_cost(mixture, experts + bases).parameters + router.parameters +
                   decoders * parameter_count(decoder),
               trunks_cost(mixture, top_experts + bases).flops + router.flops +
                   static_cast<double>(top_experts) * flops_per_image(decoder)};
  if (base) {
    const Network head = linear_decoder(features, card.tags);
    cost.parameters += parameter_count(head);
    cost.flops += flops_per_image(head);
  }
  return cost;
}

}  // namespace hardmoe
