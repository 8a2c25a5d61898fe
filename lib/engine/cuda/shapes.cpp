#include "engine/cuda/shapes.h"

#include "base/error.h"

namespace hardmoe::cuda {
namespace {

constexpr int64_t multiple = 8;
constexpr int64_t image_channels = 4;

int64_t rounded_up(int64_t channels) { return (channels + multiple - 1) / multiple * multiple; }

}  // namespace

std::vector<int64_t> held_channels(const Network& network) {
  std::vector<int64_t> held(network.values.size(), 0);
  held[0] =
      network.input == InputKind::image ? image_channels : rounded_up(network.values[0].channels);
  for (size_t i = 0; i < network.ops.size(); ++i) {
    const Op& op = network.ops[i];
    const auto of = [&](size_t input) { return held[static_cast<size_t>(op.inputs[input])]; };
    const bool made = op.kind == OpKind::conv || op.kind == OpKind::linear;
    held[i + 1] = made ? rounded_up(network.values[i + 1].channels) : of(0);
    if (op.kind == OpKind::add && of(0) != of(1)) {
      fail("operator '{}': the image itself cannot be added", op.name);
    }
  }
  return held;
}

ConvShape conv_shape(const Network& network, const std::vector<int64_t>& held, const Node& node,
                     int64_t batch) {
  const auto input = static_cast<size_t>(node.input), output = static_cast<size_t>(node.output);
  const Extent &in = network.values[input], &out = network.values[output];
  ConvShape shape;
  shape.batch = batch;
  shape.height = in.height;
  shape.width = in.width;
  shape.channels = held[input];
  shape.out_height = out.height;
  shape.out_width = out.width;
  shape.out_channels = held[output];
  shape.kernel = node.op.kernel;
  shape.stride = node.op.stride;
  shape.padding = node.op.padding;
  return shape;
}

}  // namespace hardmoe::cuda
