// ResNet-18/34/50 (He et al. 2016) with torchvision's structure and parameter names, and the bare
// linear decoder. In ResNet-50 the stride sits on the 3×3 convolution, as in torchvision ("v1.5").
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/config.h"
#include "nn/network.h"

namespace hardmoe {

enum class Stem {
  imagenet,  ///< 7×7 stride 2, then 3×3 max pool stride 2
  small,     ///< 3×3 stride 1, no pool; for images of 32 to 64 pixels
};

/// How an image's pixels are resampled to the size a network takes.
enum class Resampling {
  antialiased_bilinear,  ///< image/resize.h
};

/// What becomes of an image before the first layer, as model.yaml stores it beside weights.
struct ImageInput {
  std::array<double, 3> mean = {0.485, 0.456, 0.406};  ///< of red, green, blue, on the scale 0 … 1
  std::array<double, 3> deviation = {0.229, 0.224, 0.225};
  double crop_share = 1;  ///< evaluation's middle square: its side over the image's short side
  Resampling resampling = Resampling::antialiased_bilinear;
  void describe(Fields& f);
};

/// Throws Error(usage), which `where` begins, naming the field whose values no network can take.
void check_image_input(const ImageInput& input, const std::string& where);

/// The architecture, as model.yaml stores it beside weights.
struct ModelConfig {
  int depth = 18;
  Stem stem = Stem::small;
  int width = 64;         ///< channels of the first stage; torchvision's is 64
  int image_size = 32;    ///< pixels, height and width
  ImageInput input = {};  ///< not a setting: what a model was trained with, of new ones ImageNet's
  void describe(Fields& f);
};

/// `tags`: size of the vocabulary, V; 0 builds the trunk alone. Logits come from parameters
/// fc.weight and fc.bias. Throws Error(usage) for a depth other than 18, 34, 50 or sizes that do
/// not fit.
Network resnet(const ModelConfig& config, int64_t tags);

/// features (D) → tags (V), with parameters fc.weight and fc.bias: the shared decoder.
Network linear_decoder(int64_t features, int64_t tags);

}  // namespace hardmoe
