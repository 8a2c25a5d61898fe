#include "nn/resnet_builder.h"

#include "base/error.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

constexpr std::array<ResnetPlan, 3> plans = {
    {{18, false, {2, 2, 2, 2}}, {34, false, {3, 4, 6, 3}}, {50, true, {3, 4, 6, 3}}}};

}  // namespace

const ResnetPlan& resnet_plan(int depth) {
  for (const auto& plan : plans) {
    if (plan.depth == depth) return plan;
  }
  fail_usage("model.depth: expected 18, 34 or 50, found {}", depth);
}

int64_t channels_of(const ModelConfig& config, int stage) {
  const bool tail = config.tail.width > 0 && stage > config.tail.behind;
  return int64_t{tail ? config.tail.width : config.width} << (stage - 1);
}

int64_t channels_behind(const ModelConfig& config, int stage) {
  if (stage == 0) return config.width;
  return channels_of(config, stage) * (resnet_plan(config.depth).bottleneck ? 4 : 1);
}

Network resnet_start(const ModelConfig& config) {
  resnet_plan(config.depth);
  if (config.width < 1 || config.width > 1024) {
    fail_usage("model.width: expected 1 to 1024, found {}", config.width);
  }
  Network network;
  set_image_input(config.input, config.image_size, network);
  const Tail& tail = config.tail;
  if (tail.width < 0 || tail.width > 1024 || tail.behind < 0 || tail.behind > last_cut) {
    fail_usage("tail: expected behind 0 to {} and a width of 1 to 1024, found {} and {}", last_cut,
               tail.behind, tail.width);
  }
  return network;
}

int ResnetBuilder::conv_norm(int value, const std::string& conv, const std::string& norm,
                             int64_t channels, int kernel, int stride) {
  value = network_.append({"conv",
                           conv,
                           {value},
                           {{"channels", static_cast<double>(channels)},
                            {"kernel", kernel},
                            {"stride", stride},
                            {"padding", kernel / 2}}});
  return network_.append({"batch_norm", norm, {value}, {}});
}

int ResnetBuilder::relu(int value) { return network_.append({"relu", "", {value}, {}}); }

/// One residual block of `in` to `out` channels: two 3×3 convolutions (basic), or 1×1, 3×3, 1×1
/// (bottleneck), the inner ones with `channels`.
int ResnetBuilder::block(int input, const std::string& name, int64_t in, int64_t channels,
                         int64_t out, int stride, bool bottleneck) {
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
  return relu(network_.append({"add", name, {value, shortcut}, {}}));
}

int ResnetBuilder::stem() {
  if (config_.stem == Stem::small) return relu(conv_norm(0, "conv1", "bn1", config_.width, 3, 1));
  const int value = relu(conv_norm(0, "conv1", "bn1", config_.width, 7, 2));
  return network_.append(
      {"max_pool", "maxpool", {value}, {{"kernel", 3}, {"stride", 2}, {"padding", 1}}});
}

int ResnetBuilder::stages(int value, int begin, int end) {
  const ResnetPlan& plan = resnet_plan(config_.depth);
  int64_t in = channels_behind(config_, begin);
  for (int stage = begin + 1; stage <= end; ++stage) {
    const int64_t out = channels_behind(config_, stage);
    for (int number = 0; number < plan.blocks[static_cast<size_t>(stage - 1)]; ++number) {
      const int stride = stage > 1 && number == 0 ? 2 : 1;
      value = block(value, fmt::format("layer{}.{}", stage, number), in,
                    channels_of(config_, stage), out, stride, plan.bottleneck);
      in = out;
    }
  }
  return value;
}

void ResnetBuilder::head(int value, int64_t tags) {
  network_.feature = network_.append({"global_avg_pool", "avgpool", {value}, {}});
  if (tags == 0) return;
  network_.logits = network_.append(
      {"linear", "fc", {network_.feature}, {{"channels", static_cast<double>(tags)}}});
}

}  // namespace hardmoe
