#include "moe/router.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/stage.h"
#include "engine/network_facts.h"
#include "nn/architecture.h"
#include "nn/resnet.h"
#include "train/metrics.h"
#include "train/probability.h"

namespace hardmoe {

double share_of_base(const ModelConfig& router, int64_t experts, const ModelConfig& base) {
  return flops_per_image(network_of(router, experts)) / flops_per_image(network_of(base, 0));
}

ModelConfig router_model(const ModelConfig& base, int depth, int width, int image_size,
                         int64_t experts) {
  constexpr int least_size = 8, step = 4;
  ModelConfig router = base;
  router.architecture = Architecture::resnet;
  router.sparse = {};
  router.depth = depth;
  router.width = width > 0 ? width : std::max(8, base.width / 2);
  router.image_size = image_size > 0 ? image_size : base.image_size / step * step;
  router.input.crop_share = base.input.crop_share;
  if (image_size > 0) return router;
  while (router.image_size > least_size && share_of_base(router, experts, base) > router_share) {
    router.image_size -= step;
  }
  return router;
}

double tail_share_of_base(const ModelConfig& router, int64_t experts, const ModelConfig& base) {
  return flops_per_image(resnet_from(router, router.tail.behind, experts)) /
         flops_per_image(network_of(base, 0));
}

ModelConfig router_on_base(const ModelConfig& base, int behind, int width, int64_t experts) {
  require_resnet(base, "router.prefix");
  ModelConfig router = base;
  router.tail = {behind, width > 0 ? width : base.width};
  if (width > 0) return router;
  while (router.tail.width > 1 && tail_share_of_base(router, experts, base) > router_share) {
    --router.tail.width;
  }
  return router;
}

Vocabulary experts_as_tags(const std::vector<int64_t>& sizes) {
  Vocabulary vocabulary;
  for (size_t k = 0; k < sizes.size(); ++k) vocabulary.tags.push_back(fmt::format("expert {}", k));
  vocabulary.counts = sizes;
  return vocabulary;
}

Model open_router(const std::filesystem::path& folder, const std::filesystem::path& partition,
                  const std::filesystem::path& base) {
  const Json inputs = stage_inputs(folder, "moe-train-router");
  if (inputs.value("partition", Json()) != stage_fingerprint(partition, "moe-partition")) {
    fail_usage("{}: this router was trained for another partition than {}; train one for it",
               folder.string(), partition.string());
  }
  Model router = load_model(folder);
  if (router.card.model.tail.width > 0 && inputs.value("base", Json()) != base_fingerprint(base)) {
    fail_usage("{}: this router begins with the stages of another base than {}; train one on that",
               folder.string(), base.string());
  }
  const auto record = partition / "partition.json";
  const auto experts = json_get<int64_t>(read_json(record), "experts", record.string());
  if (router.card.tags != experts) {
    fail("{}: chooses among {} experts, but {} has {}; train a router for it", folder.string(),
         router.card.tags, partition.string(), experts);
  }
  return router;
}

void add_likeliest(const ModelCard& router, std::span<const float> logits, int64_t count,
                   ExpertChoices& choices) {
  const auto width = static_cast<size_t>(router.tags);
  std::vector<float> logs(width);
  for (size_t first = 0; first < logits.size(); first += width) {
    log_probabilities(router.loss, logits.subspan(first, width), logs.data());
    for (const int32_t expert : top_k(logs, count)) {
      choices.expert.push_back(static_cast<uint16_t>(expert));
      choices.squared_distance.push_back(-logs[static_cast<size_t>(expert)]);
    }
  }
}

ExpertChoices choices_of_router(Engine& engine, const Model& router, const ImageSet& images,
                                int64_t count, Precision precision) {
  const ModelCard& card = router.card;
  Inference inference(engine, network_of(card.model, card.tags), card.model.image_size, precision);
  inference.load(router.weights, "router");
  return choices_of_router(inference, card, images, count);
}

ExpertChoices choices_of_router(Inference& router, const ModelCard& card, const ImageSet& images,
                                int64_t count) {
  if (count < 1 || count > card.tags) {
    fail_usage("asked for the {} likeliest experts of {}; expected 1 to {}", count, card.tags,
               card.tags);
  }
  if (images.shows_progress()) log_info("router: choosing experts for {} images", images.size());
  ExpertChoices choices{.experts = count, .expert = {}, .squared_distance = {}};
  router.run(images, all_items(images), [&](int64_t, int64_t, auto, auto logits) {
    add_likeliest(card, logits, count, choices);
  });
  return choices;
}

}  // namespace hardmoe
