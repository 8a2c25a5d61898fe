// ResNet-18/34/50 (He et al. 2016) with torchvision's structure and parameter names, and the shared
// decoder, a single linear layer. In ResNet-50 the 3×3 convolution has the stride, as in
// torchvision ("v1.5").
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/config.h"
#include "nn/network.h"

namespace hardmoe {

/// The first layers.
enum class Stem {
  imagenet,  ///< 7×7 convolution of stride 2, then 3×3 max pool of stride 2
  small,     ///< 3×3 convolution of stride 1, no pool; for images of 32 to 64 pixels
};

/// How an image's pixels are resampled to the size a network takes.
enum class Resampling {
  antialiased_bilinear,  ///< image/resize.h
};

/// How an image is prepared for the first layer, as model.yaml stores it beside the weights.
struct ImageInput {
  std::array<double, 3> mean = {0.485, 0.456, 0.406};  ///< of red, green, blue, on the scale 0 … 1
  std::array<double, 3> deviation = {0.229, 0.224, 0.225};  ///< on the same scale
  double crop_share = 1;  ///< side of evaluation's centred square over the image's short side
  Resampling resampling = Resampling::antialiased_bilinear;
  void describe(Fields& f);
};

/// Throws Error(usage) that begins with `where` and names the field, for a deviation that is not
/// above 0 or a crop_share outside (0, 1].
void check_image_input(const ImageInput& input, const std::string& where);

/// Gives a network the engine's constants: colours run from 0 to 255 there. Throws as
/// check_image_input() does.
void set_image_input(const ImageInput& input, Network& network);

/// Last stages of a width of their own, as a router's that begins with its base's first stages.
struct Tail {
  int behind = 0;  ///< layer1 up to the layer of this number are not of the tail
  int width = 0;   ///< as ModelConfig::width; 0: there is no tail
  void describe(Fields& f);
};

/// The architecture, as model.yaml stores it beside the weights.
struct ModelConfig {
  int depth = 18;
  Stem stem = Stem::small;
  int width = 64;         ///< channels of the first stage; torchvision has 64
  int image_size = 32;    ///< pixels, height and width
  ImageInput input = {};  ///< not a setting: what a model was trained with; ImageNet's for new ones
  Tail tail = {};         ///< not a setting: a router's
  void describe(Fields& f);
};

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
