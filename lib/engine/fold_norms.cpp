#include "engine/fold_norms.h"

#include <algorithm>
#include <utility>

namespace hardmoe {
namespace {

using Nodes = std::vector<Node>;

/// Returns the convolution whose output `node` alone reads, as its first input; the end if there is
/// none.
Nodes::iterator convolution_before(Graph& graph, const Node& node) {
  const int value = node.inputs[0];
  if (value == graph.network.feature || value == graph.network.logits) return graph.nodes.end();
  std::ptrdiff_t reads = 0;
  for (const Node& reader : graph.nodes) reads += std::ranges::count(reader.inputs, value);
  if (reads != 1) return graph.nodes.end();
  return std::ranges::find_if(graph.nodes, [&](const Node& made) {
    return made.output == value && std::holds_alternative<Conv>(made.op);
  });
}

/// Returns the convolution with the node behind it as a part; nothing if they do not go together.
std::optional<Node> joined(const Node& convolution, const Node& behind) {
  Node made = convolution;
  made.output = behind.output;
  auto& norm = std::get<Conv>(made.op).norm;
  if (const auto* batch_norm = std::get_if<BatchNorm>(&behind.op); batch_norm && !norm) {
    norm = {behind.name, batch_norm->relu, {}};
    made.inputs.insert(made.inputs.end(), behind.inputs.begin() + 1, behind.inputs.end());
    return made;
  }
  if (const auto* pool = std::get_if<MaxPool>(&behind.op);
      pool && norm && !norm->pool && made.inputs.size() == 1) {
    norm->pool = pool->window;
    return made;
  }
  return {};
}

}  // namespace

void fold_norms(Graph& graph) {
  Nodes& nodes = graph.nodes;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto host = convolution_before(graph, nodes[i]);
    if (host == nodes.end()) continue;
    const auto made = joined(*host, nodes[i]);
    if (!made) continue;
    nodes[i] = *made;
    nodes.erase(host);
    --i;
  }
}

}  // namespace hardmoe
