// ResNet-18/34/50 (He et al. 2016) with torchvision's structure and parameter names, and the shared
// decoder, a single linear layer. In ResNet-50 the 3×3 convolution has the stride, as in
// torchvision ("v1.5"). For a model of whatever kind: see nn/architecture.h.
#pragma once

#include <cstdint>

#include "nn/model_config.h"
#include "nn/network.h"

namespace hardmoe {

/// Returns the ResNet with a classifier head for `tags` tags, V (parameters fc.weight, fc.bias), or
/// without a head if V is 0. Throws Error(usage) for a depth other than 18, 34 or 50, a width
/// outside 1 … 1024, an image size outside 8 … 2048, and as check_image_input() does.
Network resnet(const ModelConfig& config, int64_t tags);

/// Where a ResNet may be cut in two: behind its stem (0), layer1, layer2 or layer3 (3).
inline constexpr int last_cut = 3;

/// Returns what a ResNet hands on at a cut: one image's map.
Extent map_at(const ModelConfig& config, int cut);

/// Returns the ResNet up to the cut; its feature is the map there. Parameters keep their names, so
/// that it loads the whole network's weights. Throws Error(usage) as resnet() does.
Network resnet_until(const ModelConfig& config, int cut);

/// Returns the rest of the ResNet, with a head for `tags` tags unless V is 0; its input is the map
/// at the cut. Both parts, one after the other, compute what the whole does.
Network resnet_from(const ModelConfig& config, int cut, int64_t tags);

/// Returns the shared decoder: one linear layer from features (N×D) to logits (N×V), with
/// parameters fc.weight and fc.bias. Its feature is its input.
Network linear_decoder(int64_t features, int64_t tags);

}  // namespace hardmoe
