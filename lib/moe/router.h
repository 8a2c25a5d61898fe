// A cheap router: a small CNN that was trained to give a partition's experts from the image itself,
// so that evaluating an image costs it and one expert, not the base and one expert. A model like
// any other, whose "tags" are the experts. Not for choosing the experts in the first place: see
// moe/partition.h.
#pragma once

#include <filesystem>
#include <span>

#include "data/dataset.h"
#include "engine/engine.h"
#include "moe/gater.h"
#include "train/inference.h"
#include "train/model_folder.h"

namespace hardmoe {

/// What a router may cost of the base's FLOPs: the default size keeps to it.
inline constexpr double router_share = 0.15;

/// Returns a router's network for a base, a ResNet whatever the base is. `width` 0: half of the base's, at least 8. `image_size`
/// 0: the largest multiple of 4 at which the router takes at most router_share of the FLOPs of the
/// base's trunk, from 8 pixels to the base's. Throws Error(usage) as network_of() does.
ModelConfig router_model(const ModelConfig& base, int depth, int width, int image_size,
                         int64_t experts);

/// Returns the network of a router that begins with the base's stages up to layer number `behind`,
/// and goes on with `width` channels a first stage; 0: as many as take at most router_share of the
/// FLOPs of the base's trunk. Throws Error(usage) as network_of() does.
ModelConfig router_on_base(const ModelConfig& base, int behind, int width, int64_t experts);

/// Returns the FLOPs of what a router has behind the base's stages over those of the base's trunk.
double tail_share_of_base(const ModelConfig& router, int64_t experts, const ModelConfig& base);

/// Returns the FLOPs of a router for one image over those of the base's trunk, which it replaces.
double share_of_base(const ModelConfig& router, int64_t experts, const ModelConfig& base);

/// Returns the experts as the tags of a router's classifier head.
Vocabulary experts_as_tags(const std::vector<int64_t>& sizes);

/// Reads a router. Throws Error(usage) unless it was trained to give the experts of `partition`,
/// and, if it begins with its base's stages, unless that is `base`.
Model open_router(const std::filesystem::path& folder, const std::filesystem::path& partition,
                  const std::filesystem::path& base);

/// Adds the `count` experts with the greatest scores of each image, by a router's logits, rows×K,
/// as choices_of_router() returns them.
void add_likeliest(const ModelCard& router, std::span<const float> logits, int64_t count,
                   ExpertChoices& choices);

/// Returns the `count` experts with the greatest scores of each image, best first.
/// In the distances' place stands −log P(expert), so that gating_weights with T = 1 are the
/// router's probabilities. Throws Error(usage) for count outside 1 … K.
ExpertChoices choices_of_router(Engine& engine, const Model& router, const ImageSet& images,
                                int64_t count, Precision precision);
/// The same by a router that is compiled and loaded.
ExpertChoices choices_of_router(Inference& router, const ModelCard& card, const ImageSet& images,
                                int64_t count);

}  // namespace hardmoe
