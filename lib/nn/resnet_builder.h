// The pieces of a ResNet, for those who build one: nn/resnet.cpp, and nn/sparse_resnet.cpp with stages
// of experts.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "nn/model_config.h"
#include "nn/network.h"

namespace hardmoe {

inline constexpr int resnet_stages = 4;  ///< layer1 to layer4

/// Residual blocks by stage.
struct ResnetPlan {
  int depth;
  bool bottleneck;
  std::array<int, resnet_stages> blocks;
};

/// Throws Error(usage) for a depth other than 18, 34 or 50.
const ResnetPlan& resnet_plan(int depth);

/// Returns the channels of a stage's 3×3 convolutions; stages count from 1.
int64_t channels_of(const ModelConfig& config, int stage);
/// Returns the channels that stage `stage` gives; 0: the stem.
int64_t channels_behind(const ModelConfig& config, int stage);

/// Returns a ResNet's network without operators yet. Throws Error(usage) as resnet() does.
Network resnet_start(const ModelConfig& config);

/// Appends a ResNet's operators to a network, with torchvision's names. Each function returns the
/// number of its output.
class ResnetBuilder {
 public:
  ResnetBuilder(const ModelConfig& config, Network& network) : config_(config), network_(network) {}

  int stem();
  /// Appends the stages after `begin`, up to and with `end`; layer1 is stage 1.
  int stages(int value, int begin, int end);
  /// Sets the network's feature, and its logits unless `tags` is 0.
  void head(int value, int64_t tags);
  int relu(int value);

 private:
  int conv_norm(int value, const std::string& conv, const std::string& norm, int64_t channels,
                int kernel, int stride);
  int block(int value, const std::string& name, int64_t in, int64_t channels, int64_t out,
            int stride, bool bottleneck);

  const ModelConfig& config_;
  Network& network_;
};

}  // namespace hardmoe
