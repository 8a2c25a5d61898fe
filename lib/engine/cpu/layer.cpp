#include "engine/cpu/layer.h"

#include <algorithm>

namespace hardmoe::cpu {

LayerBuilder::LayerBuilder(const Graph& graph, int node, const CompileOptions& options,
                           Parameters& parameters, size_t& scratch_bytes)
    : graph_(graph),
      number_(node),
      node_(graph.nodes[static_cast<size_t>(node)]),
      options_(options),
      parameters_(parameters),
      scratch_bytes_(scratch_bytes) {}

onednn::Needs LayerBuilder::needs() const {
  if (!training()) return {};
  const bool data = graph_.trained_values[static_cast<size_t>(node_.inputs[0])];
  return {trains(), data};
}

int LayerBuilder::parameter_named(const std::string& name, const onednn::Desc* held,
                                  const onednn::Desc* plain) {
  const auto specs = graph_.parameters(node_);
  const auto spec = std::find_if(specs.begin(), specs.end(),
                                 [&](const ParameterSpec& one) { return one.name == name; });
  return parameters_.add(*spec, pace_of(*spec, options_), held, plain);
}

}  // namespace hardmoe::cpu
