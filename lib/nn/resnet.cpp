#include "nn/resnet.h"

#include "base/error.h"
#include "nn/resnet_builder.h"

namespace hardmoe {
namespace {

void require_cut(int cut) {
  if (cut < 0 || cut > last_cut) fail("a ResNet has cuts 0 to {}, not {}", last_cut, cut);
}

}  // namespace

Extent map_at(const ModelConfig& config, int cut) {
  const auto halved = [](int64_t side) { return (side + 1) / 2; };
  int64_t side = config.image_size;
  if (config.stem == Stem::imagenet) side = halved(halved(side));
  for (int stage = 1; stage < cut; ++stage) side = halved(side);
  return {side, side, channels_behind(config, cut)};
}

Network resnet(const ModelConfig& config, int64_t tags) {
  Network network = resnet_start(config);
  ResnetBuilder build(config, network);
  build.head(build.stages(build.stem(), 0, resnet_stages), tags);
  return network;
}

Network resnet_until(const ModelConfig& config, int cut) {
  require_cut(cut);
  Network network = resnet_start(config);
  ResnetBuilder build(config, network);
  network.feature = build.stages(build.stem(), 0, cut);
  return network;
}

Network resnet_from(const ModelConfig& config, int cut, int64_t tags) {
  require_cut(cut);
  Network network = resnet_start(config);
  network.input = InputKind::map;
  network.extent = map_at(config, cut);
  ResnetBuilder build(config, network);
  build.head(build.stages(0, cut, resnet_stages), tags);
  return network;
}

Network linear_decoder(int64_t features, int64_t tags) {
  Network network;
  network.input = InputKind::feature;
  network.extent = {1, 1, features};
  network.logits = network.append({"linear", "fc", {0}, {{"channels", static_cast<double>(tags)}}});
  return network;
}

}  // namespace hardmoe
