#include "nn/resnet.h"

#include <array>

#include "base/error.h"

namespace hardmoe {
namespace {

constexpr int last_stage = 4;

struct Plan {
  int depth;
  bool bottleneck;
  std::array<int, last_stage> blocks;
};
constexpr std::array<Plan, 3> plans = {
    {{18, false, {2, 2, 2, 2}}, {34, false, {3, 4, 6, 3}}, {50, true, {3, 4, 6, 3}}}};

const Plan& plan_for(int depth) {
  for (const auto& plan : plans) {
    if (plan.depth == depth) return plan;
  }
  fail_usage("model.depth: expected 18, 34 or 50, found {}", depth);
}

/// The channels of a stage's 3×3 convolutions, from 1.
int64_t channels_of(const ModelConfig& config, int stage) {
  const bool tail = config.tail.width > 0 && stage > config.tail.behind;
  return int64_t{tail ? config.tail.width : config.width} << (stage - 1);
}

/// The channels that stage `stage` gives; 0: the stem.
int64_t channels_behind(const ModelConfig& config, int stage) {
  if (stage == 0) return config.width;
  return channels_of(config, stage) * (plan_for(config.depth).bottleneck ? 4 : 1);
}

Op linear(const std::string& name, int input, int64_t outputs) {
  return {"linear", name, {input}, {{"channels", static_cast<double>(outputs)}}};
}

struct Builder {
  Network& network;

  int conv_norm(int input, const std::string& conv, const std::string& norm, int64_t channels,
                int kernel, int stride) {
    const int value = network.append({"conv",
                                      conv,
                                      {input},
                                      {{"channels", static_cast<double>(channels)},
                                       {"kernel", kernel},
                                       {"stride", stride},
                                       {"padding", kernel / 2}}});
    return network.append({"batch_norm", norm, {value}, {}});
  }

  int relu(int input) { return network.append({"relu", "", {input}, {}}); }

  /// One residual block of `in` to `out` channels: two 3×3 convolutions (basic), or 1×1, 3×3, 1×1
  /// (bottleneck), the inner ones with `channels`.
  int block(int input, const std::string& name, int64_t in, int64_t channels, int64_t out,
            int stride, bool bottleneck) {
    int value = 0;
    if (bottleneck) {
      value = relu(conv_norm(input, name + ".conv1", name + ".bn1", channels, 1, 1));
      value = relu(conv_norm(value, name + ".conv2", name + ".bn2", channels, 3, stride));
      value = conv_norm(value, name + ".conv3", name + ".bn3", out, 1, 1);
    } else {
      value = relu(conv_norm(input, name + ".conv1", name + ".bn1", channels, 3, stride));
      value = conv_norm(value, name + ".conv2", name + ".bn2", out, 3, 1);
    }
    int shortcut = input;
    if (stride != 1 || in != out) {
      shortcut = conv_norm(input, name + ".downsample.0", name + ".downsample.1", out, 1, stride);
    }
    return relu(network.append({"add", name, {value, shortcut}, {}}));
  }

  int stem(const ModelConfig& config) {
    if (config.stem == Stem::small) return relu(conv_norm(0, "conv1", "bn1", config.width, 3, 1));
    const int value = relu(conv_norm(0, "conv1", "bn1", config.width, 7, 2));
    return network.append(
        {"max_pool", "maxpool", {value}, {{"kernel", 3}, {"stride", 2}, {"padding", 1}}});
  }

  /// Stages after `begin`, up to and with `end`; layer1 is stage 1.
  int stages(int value, const ModelConfig& config, int begin, int end) {
    const Plan& plan = plan_for(config.depth);
    int64_t in = channels_behind(config, begin);
    for (int stage = begin + 1; stage <= end; ++stage) {
      const int64_t out = channels_behind(config, stage);
      for (int number = 0; number < plan.blocks[static_cast<size_t>(stage - 1)]; ++number) {
        const int stride = stage > 1 && number == 0 ? 2 : 1;
        value = block(value, fmt::format("layer{}.{}", stage, number), in,
                      channels_of(config, stage), out, stride, plan.bottleneck);
        in = out;
      }
    }
    return value;
  }

  void head(int value, int64_t tags) {
    network.feature = network.append({"global_avg_pool", "avgpool", {value}, {}});
    if (tags > 0) network.logits = network.append(linear("fc", network.feature, tags));
  }
};

/// A network of images without operators yet.
Network image_network(const ModelConfig& config) {
  plan_for(config.depth);
  if (config.width < 1 || config.width > 1024) {
    fail_usage("model.width: expected 1 to 1024, found {}", config.width);
  }
  if (config.image_size < 8 || config.image_size > 2048) {
    fail_usage("model.image_size: expected 8 to 2048 pixels, found {}", config.image_size);
  }
  const Tail& tail = config.tail;
  if (tail.width < 0 || tail.width > 1024 || tail.behind < 0 || tail.behind > last_cut) {
    fail_usage("tail: expected behind 0 to {} and a width of 1 to 1024, found {} and {}", last_cut,
               tail.behind, tail.width);
  }
  Network network;
  set_image_input(config.input, network);
  network.extent = {config.image_size, config.image_size, 3};
  return network;
}

void require_cut(int cut) {
  if (cut < 0 || cut > last_cut) fail("a ResNet has cuts 0 to {}, not {}", last_cut, cut);
}

}  // namespace

void ModelConfig::describe(Fields& f) {
  f.add("depth", depth, "the ResNet's: 18, 34 or 50");
  f.add_enum("stem", stem, {"imagenet", "small"},
             "first layers; small for images of 32 to 64 pixels");
  f.add("width", width, "channels of the first stage; 64 is the standard ResNet");
  f.add("image_size", image_size, "pixels, height and width");
}

void Tail::describe(Fields& f) {
  f.add("behind", behind, "number of the last layer before it");
  f.add("width", width, "as model.width, of the layers behind; 0: there is none");
}

void ImageInput::describe(Fields& f) {
  f.add("mean", mean, "of red, green and blue from 0 to 1, subtracted");
  f.add("deviation", deviation, "what is left is divided by it");
  f.add("crop_share", crop_share,
        "evaluation sees the middle square: its side over the image's short side");
  f.add_enum("resampling", resampling, {"antialiased_bilinear"}, "of that square to image_size");
}

void check_image_input(const ImageInput& input, const std::string& where) {
  for (const double deviation : input.deviation) {
    if (deviation > 0) continue;
    fail_usage("{}.deviation: expected numbers above 0, found {}", where, deviation);
  }
  if (!(input.crop_share > 0 && input.crop_share <= 1)) {
    fail_usage("{}.crop_share: expected above 0 and at most 1, found {}", where, input.crop_share);
  }
}

void set_image_input(const ImageInput& input, Network& network) {
  check_image_input(input, "input");
  for (size_t c = 0; c < 3; ++c) {
    network.mean[c] = static_cast<float>(255 * input.mean[c]);
    network.deviation[c] = static_cast<float>(255 * input.deviation[c]);
  }
  network.crop_share = input.crop_share;
}

Extent map_at(const ModelConfig& config, int cut) {
  const auto halved = [](int64_t side) { return (side + 1) / 2; };
  int64_t side = config.image_size;
  if (config.stem == Stem::imagenet) side = halved(halved(side));
  for (int stage = 1; stage < cut; ++stage) side = halved(side);
  return {side, side, channels_behind(config, cut)};
}

Network resnet(const ModelConfig& config, int64_t tags) {
  Network network = image_network(config);
  Builder build{network};
  build.head(build.stages(build.stem(config), config, 0, last_stage), tags);
  return network;
}

Network resnet_until(const ModelConfig& config, int cut) {
  require_cut(cut);
  Network network = image_network(config);
  Builder build{network};
  network.feature = build.stages(build.stem(config), config, 0, cut);
  return network;
}

Network resnet_from(const ModelConfig& config, int cut, int64_t tags) {
  require_cut(cut);
  Network network = image_network(config);
  network.input = InputKind::map;
  network.extent = map_at(config, cut);
  Builder build{network};
  build.head(build.stages(0, config, cut, last_stage), tags);
  return network;
}

Network linear_decoder(int64_t features, int64_t tags) {
  Network network;
  network.input = InputKind::feature;
  network.extent = {1, 1, features};
  network.logits = network.append(linear("fc", 0, tags));
  return network;
}

}  // namespace hardmoe
