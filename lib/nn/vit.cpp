#include "nn/vit.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hardmoe {
namespace {

constexpr double norm_epsilon = 1e-6;        // timm's
constexpr int64_t most_head_channels = 128;  // engine/ops/attention.h

struct Size {
  int width, depth, heads;
};
constexpr Size sizes[] = {{192, 12, 3}, {384, 12, 6}, {768, 12, 12}};  // by VitSize

void require_range(const char* setting, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return;
  fail_usage("model.{}: expected {} to {}, found {}", setting, least, most, value);
}

struct Builder {
  Network& network;
  VitShape shape;

  int append(const char* type, const std::string& name, int value,
             std::map<std::string, double> attributes = {}) {
    return network.append({type, name, {value}, std::move(attributes)});
  }

  int linear(int value, const std::string& name, int64_t channels) {
    return append("linear", name, value,
                  {{"channels", static_cast<double>(channels)},
                   {"working", 1},
                   {"deviation", vit_initial_deviation}});
  }

  int norm(int value, const std::string& name) {
    return append("layer_norm", name, value, {{"epsilon", norm_epsilon}});
  }

  int add(int value, int other, const std::string& name) {
    return network.append({"add", name, {value, other}, {}});
  }

  /// The image's patches as tokens. Weights begin so that patches keep the pixels' deviation.
  int patches(int patch_size) {
    const std::string name = "patch_embed.proj";
    const double inputs = 3.0 * patch_size * patch_size;
    const int value = append("conv", name, 0,
                             {{"channels", static_cast<double>(shape.width)},
                              {"kernel", patch_size},
                              {"stride", patch_size},
                              {"padding", 0},
                              {"deviation", 1 / std::sqrt(inputs)}});
    return append("tokens", "patch_embed", append("bias", name, value));
  }

  int positions(int value, const VitConfig& config) {
    if (config.positions == VitPositions::learned) return append("positions", "pos_embed", value);
    const auto side = static_cast<double>(shape.side);
    return append("positions", "pos_embed", value,
                  {{"sincos", 1},
                   {"height", side},
                   {"width", side},
                   {"class_tokens", config.pooling == VitPooling::token ? 1 : 0}});
  }

  int mlp(int value, const std::string& name) {
    const int hidden = append("gelu", name + ".act", linear(value, name + ".fc1", shape.hidden));
    return linear(hidden, name + ".fc2", shape.width);
  }

  int block(int value, const std::string& name, const VitMlp* other) {
    const int normed = norm(value, name + ".norm1");
    const int qkv = linear(normed, name + ".attn.qkv", 3 * shape.width);
    const int heads =
        append("attention", name + ".attn", qkv, {{"heads", static_cast<double>(shape.heads)}});
    value = add(value, linear(heads, name + ".attn.proj", shape.width), name + ".attn.add");
    const int second = norm(value, name + ".norm2");
    const std::string inner = name + ".mlp";
    const int made = other != nullptr ? (*other)(network, second, inner) : mlp(second, inner);
    return add(value, made, inner + ".add");
  }
};

}  // namespace

void VitConfig::describe(Fields& f) {
  f.add_enum("size", size, {"Ti", "S", "B"}, "width, depth and heads by name");
  f.add("width", width, "channels of a token; 0: the size's");
  f.add("depth", depth, "blocks; 0: the size's");
  f.add("heads", heads, "of each attention; 0: the size's");
  f.add("mlp_ratio", mlp_ratio, "channels inside an MLP over those of a token");
  f.add("patch_size", patch_size, "pixels, height and width; must divide image_size");
  f.add_enum("pooling", pooling, {"token", "mean"},
             "the feature: a class token, or all tokens' mean");
  f.add_enum("positions", positions, {"learned", "sincos"}, "what tells tokens their places");
  f.add("head_bias", head_bias, "where the head's biases begin; -10 suits a sigmoid loss");
}

VitShape vit_shape(const VitConfig& config) {
  const Size& size = sizes[static_cast<size_t>(config.size)];
  const auto either = [](int own, int named) { return own != 0 ? own : named; };
  VitShape shape;
  shape.width = either(config.width, size.width);
  shape.depth = either(config.depth, size.depth);
  shape.heads = either(config.heads, size.heads);
  require_range("vit.width", shape.width, 1, 4096);
  require_range("vit.depth", shape.depth, 1, 100);
  require_range("vit.heads", shape.heads, 1, 64);
  require_range("image_size", config.image_size, 8, 2048);
  require_range("vit.patch_size", config.patch_size, 1, config.image_size);
  if (shape.width % shape.heads != 0) {
    fail_usage("model.vit.heads: {} heads do not divide a width of {}", shape.heads, shape.width);
  }
  if (shape.width / shape.heads > most_head_channels) {
    fail_usage(
        "model.vit.heads: {} heads of a width of {} have {} channels each; expected at most {}",
        shape.heads, shape.width, shape.width / shape.heads, most_head_channels);
  }
  if (config.positions == VitPositions::sincos && shape.width % 4 != 0) {
    fail_usage("model.vit.width: sin-cos positions take a multiple of 4, found {}", shape.width);
  }
  if (config.image_size % config.patch_size != 0) {
    fail_usage(
        "model.vit.patch_size: patches of {} pixels do not divide images of {}; use images of {} "
        "or {}",
        config.patch_size, config.image_size,
        config.image_size / config.patch_size * config.patch_size,
        (config.image_size / config.patch_size + 1) * config.patch_size);
  }
  if (!(config.mlp_ratio > 0 && config.mlp_ratio <= 64)) {
    fail_usage("model.vit.mlp_ratio: expected above 0 and at most 64, found {}", config.mlp_ratio);
  }
  shape.hidden = std::max<int64_t>(
      1, static_cast<int64_t>(config.mlp_ratio * static_cast<double>(shape.width)));
  shape.side = config.image_size / config.patch_size;
  shape.tokens = shape.side * shape.side + (config.pooling == VitPooling::token ? 1 : 0);
  return shape;
}

Network vit(const VitConfig& config, int64_t tags, const std::map<int, VitMlp>& mlps) {
  Network network;
  Builder build{network, vit_shape(config)};
  for (const auto& [number, mlp] : mlps) {
    if (number >= 0 && number < build.shape.depth) continue;
    fail("a transformer of {} blocks has no block {}", build.shape.depth, number);
  }
  set_image_input(config.input, config.image_size, network);
  const bool token = config.pooling == VitPooling::token;
  int value = build.patches(config.patch_size);
  if (token) value = build.append("class_token", "cls_token", value);
  value = build.positions(value, config);
  for (int number = 0; number < build.shape.depth; ++number) {
    const auto other = mlps.find(number);
    value = build.block(value, fmt::format("blocks.{}", number),
                        other == mlps.end() ? nullptr : &other->second);
  }
  value = build.norm(value, "norm");
  network.feature = build.append("token_pool", "pool", value, {{"first", token ? 1 : 0}});
  if (tags > 0) {
    network.logits = build.append("linear", "fc", network.feature,
                                  {{"channels", static_cast<double>(tags)},
                                   {"deviation", vit_initial_deviation},
                                   {"initial_bias", config.head_bias}});
  }
  return network;
}

}  // namespace hardmoe
