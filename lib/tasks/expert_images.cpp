#include "tasks/expert_images.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "base/stage.h"
#include "data/resample.h"
#include "moe/mixture.h"
#include "moe/part_images.h"
#include "moe/routing.h"
#include "nn/architecture.h"

namespace hardmoe {
namespace {

/// Returns how many of `others` images make `share` of an epoch beside `own` ones.
int64_t outsiders_for(double share, int64_t own, int64_t others) {
  const auto wanted = std::llround(static_cast<double>(own) * share / (1 - share));
  if (wanted > others) {
    log_warning("expert.outside: {} images from outside are asked for, there are {}: all of them",
                wanted, others);
  }
  return std::min<int64_t>(wanted, others);
}

}  // namespace

std::optional<EmbeddingInput> find_embedding_for(const PartExpert& expert) {
  const ExpertConfig& config = expert.config;
  if (config.overlap > expert.partition.gater.experts) {
    fail_usage("expert.overlap: expected at most the partition's {} experts, found {}",
               expert.partition.gater.experts, config.overlap);
  }
  const bool random = expert.partition.gater.kind == PartitionMethod::random;
  if (random && config.sees_nearest()) {
    fail_usage(
        "expert.outside_from: nearest needs distances, and {} is a partition at random; take all",
        expert.task.partition);
  }
  if (random || (config.overlap == 1 && !config.sees_nearest())) return std::nullopt;
  if (expert.task.embedding.empty()) {
    fail_usage("expert.{}: needs the embedding that {} was made of; give it as --embedding DIR",
               config.overlap > 1 ? "overlap" : "outside_from: nearest", expert.task.partition);
  }
  EmbeddingInput input =
      find_embedding({expert.task.embedding.begin(), expert.task.embedding.end()});
  const Json made_of = stage_inputs(expert.task.partition, "moe-partition");
  const std::string where = expert.task.partition + "/stage.json";
  if (input.identity.at("embedding") != json_get<std::string>(made_of, "embedding", where)) {
    fail_usage("{}: not the embedding that {} was made of; give that one as --embedding",
               expert.task.embedding[0], expert.task.partition);
  }
  return input;
}

Json expert_inputs(const ExpertConfig& config, bool with_part) {
  Json inputs = Json::object();
  inputs.update(config.judging.inputs());
  if (!with_part) return inputs;
  if (config.epochs_of == EpochsOf::dataset) inputs["epochs_of"] = "dataset";
  if (config.overlap > 1) inputs["overlap"] = config.overlap;
  if (config.outside > 0) {
    inputs["outside"] = config.outside;
    inputs["outside_from"] = config.sees_nearest() ? "nearest" : "all";
    inputs["outside_weight"] = config.outside_weight;
    if (config.sees_nearest()) inputs["nearest"] = 2;  // 1: without prices
  }
  return inputs;
}

double lr_factor(const Partition& partition, int64_t expert) {
  const double mean = static_cast<double>(partition.assignment.size()) /
                      static_cast<double>(partition.sizes.size());
  const auto part = static_cast<double>(partition.sizes[static_cast<size_t>(expert)]);
  return std::clamp(std::sqrt(part / mean), 0.5, 2.0);
}

void add_images_of_others(const PartExpert& expert, const std::optional<EmbeddingInput>& input,
                          ImageTraining& job) {
  const ExpertConfig& config = expert.config;
  const Partition& partition = expert.partition;
  std::optional<Embedding> embedding;
  if (input) embedding.emplace(input->files);
  if (config.overlap > 1) {
    job.items = embedding ? overlapping_part(partition, *embedding, expert.number, config.overlap)
                          : following_part(partition, expert.number, config.overlap);
  }
  if (config.outside > 0) {
    const auto shown = resampled(job.split, job.items, config.sampling, job.seed);
    auto others = outside_of(job.items, job.split.size());
    job.extra.per_epoch = outsiders_for(config.outside, std::ssize(shown), std::ssize(others));
    job.extra.weight = static_cast<float>(config.outside_weight);
    job.extra.items = config.sees_nearest() ? nearest_of(others, partition, *embedding,
                                                         expert.number, job.extra.per_epoch)
                                            : std::move(others);
  }
  if (embedding) embedding->require_as_recorded();
}

void route_selection(const PartExpert& expert, const Model& base, Precision precision,
                     bool use_prices, Engine& engine, ImageTraining& job) {
  Inference inference(engine, network_of(base.card.model, 0), base.card.model.image_size,
                      precision);
  inference.load(base.weights, expert.task.base);
  const Tensor features = embed(inference, *job.selection, all_items(*job.selection));
  const auto experts = expert.partition.gater.route(matrix_view(features), use_prices);
  warn_of_skew(expert.partition, experts);
  for (size_t i = 0; i < experts.size(); ++i) {
    if (experts[i] == expert.number) job.selection_items.push_back(static_cast<int64_t>(i));
  }
  if (!job.selection_items.empty()) return;
  log_warning(
      "expert {}: none of the {} images of split '{}' is routed to it, so it trains to its end",
      expert.number, experts.size(), job.selection->name());
}

}  // namespace hardmoe
