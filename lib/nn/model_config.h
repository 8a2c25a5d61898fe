// What a model is, as model.yaml stores it beside the weights and the section model: of a
// configuration sets it. Builders make the network of it: see nn/architecture.h.
#pragma once

#include "base/config.h"
#include "base/json.h"
#include "nn/image_input.h"
#include "nn/sparse.h"
#include "nn/vit.h"

namespace hardmoe {

/// The first layers of a ResNet.
enum class Stem {
  imagenet,  ///< 7×7 convolution of stride 2, then 3×3 max pool of stride 2
  small,     ///< 3×3 convolution of stride 1, no pool; for images of 32 to 64 pixels
};

/// Last stages of a width of their own, as a router's that begins with its base's first stages.
struct Tail {
  int behind = 0;  ///< layer1 up to the layer of this number are not of the tail
  int width = 0;   ///< as ModelConfig::width; 0: there is no tail
  void describe(Fields& f);
};

/// The kinds of network.
enum class Architecture {
  resnet,  ///< He et al. 2016
  vit,     ///< the Vision Transformer, Dosovitskiy et al. 2021
};

/// A model.
struct ModelConfig {
  int depth = 18;  ///< this, stem and width: a ResNet's
  Stem stem = Stem::small;
  int width = 64;         ///< channels of the first stage; torchvision has 64
  int image_size = 32;    ///< pixels, height and width
  ImageInput input = {};  ///< not a setting: what a model was trained with; ImageNet's for new ones
  Tail tail = {};         ///< not a setting: a router's
  Architecture architecture = Architecture::resnet;
  VitConfig vit = {};
  SparseConfig sparse = {};  ///< not a setting: what moe-train-sparse put in the place of layers
  /// Lists the settings.
  void describe(Fields& f);
  /// Lists what shapes a model of this kind: of a plain ResNet what its model.yaml always had.
  void describe_own(Fields& f);
  /// Lists all that a model.yaml may have, to read one.
  void describe_all(Fields& f);
};

/// Returns the settings that shape the model, for a stage's inputs.
Json model_json(ModelConfig config);

}  // namespace hardmoe
