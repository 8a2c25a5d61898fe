#include "engine/cuda/layer.h"

#include <algorithm>

#include "base/error.h"

namespace hardmoe::cuda {
namespace {

int64_t rounded_up(int64_t channels) {
  constexpr int64_t multiple = 8;
  return (channels + multiple - 1) / multiple * multiple;
}

}  // namespace

LayerBuilder::LayerBuilder(Compilation& compilation, int node)
    : shared_(compilation),
      number_(node),
      node_(compilation.graph.nodes[static_cast<size_t>(node)]) {}

int LayerBuilder::parameter(const char* suffix, int64_t out, int64_t in, int64_t window) {
  const auto specs = graph().parameters(node_);
  const auto spec = std::find_if(specs.begin(), specs.end(), [&](const ParameterSpec& one) {
    return one.name == node_.name + suffix;
  });
  return shared_.parameters.add(*spec, pace_of(*spec, options()), out, in, window);
}

int64_t LayerBuilder::add_state(int64_t floats) {
  const int64_t offset = shared_.state_floats;
  shared_.state_floats += (floats + 3) / 4 * 4;  // 16 bytes
  return offset;
}

std::vector<int64_t> held_channels(const Graph& graph) {
  // 4 serves first layers; what keeps an image's channels is joined with other values.
  const bool kept =
      std::any_of(graph.network.ops.begin(), graph.network.ops.end(), [](const Op& op) {
        return keeps_channels(make_operator(op)) &&
               std::find(op.inputs.begin(), op.inputs.end(), 0) != op.inputs.end();
      });
  const int64_t image_channels = kept ? rounded_up(3) : 4;
  std::vector<int64_t> held(graph.types.size(), 0);
  held[0] = graph.network.input == InputKind::image ? image_channels
                                                    : rounded_up(graph.type(0).extent.channels);
  for (size_t i = 0; i < graph.network.ops.size(); ++i) {
    const Op& op = graph.network.ops[i];
    const auto of = [&](size_t input) { return held[static_cast<size_t>(op.inputs[input])]; };
    held[i + 1] = keeps_channels(make_operator(op))
                      ? of(0)
                      : rounded_up(graph.type(static_cast<int>(i) + 1).extent.channels);
    if (op.type == Add::type && of(0) != of(1)) {
      fail("operator '{}': the image itself cannot be added", op.name);
    }
  }
  return held;
}

}  // namespace hardmoe::cuda
