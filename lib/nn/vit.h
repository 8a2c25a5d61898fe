// The Vision Transformer (Dosovitskiy et al. 2021) with a norm before each attention and each MLP, and
// timm's structure and parameter names (patch_embed.proj, cls_token, pos_embed, blocks.0.attn.qkv, …,
// norm); but the head is named fc, as that of our ResNets. Of other networks made from it: any block's
// MLP can be another one, such as a mixture of experts.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/config.h"
#include "nn/image_input.h"
#include "nn/network.h"

namespace hardmoe {

/// The deviation of initial weights, timm's; biases begin at 0.
inline constexpr double vit_initial_deviation = 0.02;

/// Widths, depths and heads that have a name (Touvron et al. 2021 for Ti, S).
enum class VitSize {
  tiny,   ///< Ti: 192 channels, 12 blocks, 3 heads
  small,  ///< S: 384, 12, 6
  base,   ///< B: 768, 12, 12
};

/// How an image's tokens become its feature.
enum class VitPooling {
  token,  ///< a class token, learned and put before the patches
  mean,   ///< the mean of the patches; there is no class token
};

/// What tells tokens their places.
enum class VitPositions {
  learned,  ///< a learned table
  sincos,   ///< a fixed table of sines and cosines, see engine/ops/positions.h
};

/// The architecture, as model.yaml stores it beside the weights, in ModelConfig.
struct VitConfig {
  VitSize size = VitSize::tiny;
  int width = 0;         ///< channels of a token; 0: the size's, as depth and heads
  int depth = 0;         ///< blocks
  int heads = 0;         ///< of each attention
  double mlp_ratio = 4;  ///< channels inside an MLP over those of a token
  int patch_size = 4;    ///< pixels, height and width
  int image_size = 32;   ///< not a setting: as ModelConfig::image_size
  VitPooling pooling = VitPooling::token;
  VitPositions positions = VitPositions::learned;
  double head_bias = 0;   ///< where the head's biases begin; −10 suits a sigmoid loss
  ImageInput input = {};  ///< not a setting: as ModelConfig::input
  void describe(Fields& f);
};

/// Numbers that follow from a configuration.
struct VitShape {
  int64_t width = 0;
  int depth = 0;
  int heads = 0;
  int64_t hidden = 0;  ///< channels inside an MLP
  int64_t side = 0;    ///< patches along a side of the image
  int64_t tokens = 0;  ///< of an image, with the class token
};

/// Returns the numbers. Throws Error(usage) that names the setting: for a patch size that does not
/// divide the image size, a width that the heads or sin-cos positions do not divide, and for numbers
/// outside their ranges.
VitShape vit_shape(const VitConfig& config);

/// Appends what takes the place of an MLP to the network: `value` holds the block's normed tokens,
/// `name` begins its parameters' names ("blocks.3.mlp"). Returns a value of the same type, which is
/// added to the block's tokens.
using VitMlp = std::function<int(Network& network, int value, const std::string& name)>;

/// Returns the transformer with a classifier head for `tags` tags, V (parameters fc.weight, fc.bias),
/// or without a head if V is 0. Its feature is the pooled token after the last norm. `mlps`: by number
/// of a block, from 0, what takes the place of its MLP. Throws Error(usage) as vit_shape() and
/// check_image_input() do; Error for a block that there is not.
Network vit(const VitConfig& config, int64_t tags, const std::map<int, VitMlp>& mlps = {});

}  // namespace hardmoe
