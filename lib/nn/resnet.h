// ResNet-18/34/50 (He et al. 2016) with torchvision's structure and parameter names, and the bare
// linear decoder. In ResNet-50 the stride sits on the 3×3 convolution, as in torchvision ("v1.5").
#pragma once

#include <cstdint>

#include "base/config.h"
#include "nn/network.h"

namespace hardmoe {

enum class Stem {
  imagenet,  ///< 7×7 stride 2, then 3×3 max pool stride 2
  small,     ///< 3×3 stride 1, no pool; for images of 32 to 64 pixels
};

/// The architecture, as model.yaml stores it beside weights.
struct ModelConfig {
  int depth = 18;
  Stem stem = Stem::small;
  int width = 64;       ///< channels of the first stage; torchvision's is 64
  int image_size = 32;  ///< pixels, height and width
  void describe(Fields& f);
};

/// `tags`: size of the vocabulary, V; 0 builds the trunk alone. Logits come from parameters
/// fc.weight and fc.bias. Throws Error(usage) for a depth other than 18, 34, 50 or sizes that do
/// not fit.
Network resnet(const ModelConfig& config, int64_t tags);

/// features (D) → tags (V), with parameters fc.weight and fc.bias: the shared decoder.
Network linear_decoder(int64_t features, int64_t tags);

}  // namespace hardmoe
