#include "engine/lowering.h"

#include "base/error.h"

namespace hardmoe {
namespace {

Node start_node(const Op& op, int output) {
  Node node{NodeKind::conv, op, op.inputs[0], -1, output, false};
  switch (op.kind) {
    case OpKind::conv:
      node.kind = NodeKind::conv;
      break;
    case OpKind::batch_norm:
      node.kind = NodeKind::norm;
      break;
    case OpKind::max_pool:
      node.kind = NodeKind::max_pool;
      break;
    case OpKind::global_avg_pool:
      node.kind = NodeKind::global_avg_pool;
      break;
    case OpKind::linear:
      node.kind = NodeKind::linear;
      break;
    case OpKind::relu:
    case OpKind::add:
      fail("operator '{}' does not follow a batch norm it could join", op.name);
  }
  return node;
}

/// A linear layer reads float32 features: a feature input, a pooled feature, another linear's
/// output.
void check_linear(const Network& network, const Op& op) {
  const int input = op.inputs[0];
  const bool feature =
      input == 0 ? network.input == InputKind::feature
                 : network.ops[static_cast<size_t>(input) - 1].kind == OpKind::global_avg_pool ||
                       network.ops[static_cast<size_t>(input) - 1].kind == OpKind::linear;
  if (!feature)
    fail("operator '{}': a linear layer follows a global average pool or a feature", op.name);
}

}  // namespace

Lowered lower(const Network& network) {
  std::vector<int> uses(network.values.size(), 0);
  for (const Op& op : network.ops) {
    for (const int input : op.inputs) ++uses[static_cast<size_t>(input)];
  }
  // A norm absorbs the add or ReLU that is the only reader of its present output.
  std::vector<Node> nodes;
  std::vector<int> producer(network.values.size(), -1);  // node whose output the value is
  for (size_t i = 0; i < network.ops.size(); ++i) {
    const Op& op = network.ops[i];
    const int output = static_cast<int>(i) + 1;
    if (op.kind == OpKind::linear) check_linear(network, op);
    const auto mergeable = [&](int value) -> Node* {
      const int index = producer[static_cast<size_t>(value)];
      if (index < 0 || uses[static_cast<size_t>(value)] != 1) return nullptr;
      Node& node = nodes[static_cast<size_t>(index)];
      return node.kind == NodeKind::norm && !node.relu ? &node : nullptr;
    };
    Node* host = nullptr;
    int residual = -1;
    if (op.kind == OpKind::relu) {
      host = mergeable(op.inputs[0]);
    } else if (op.kind == OpKind::add) {
      host = mergeable(op.inputs[0]);
      residual = op.inputs[1];
      if (host != nullptr && host->residual >= 0) host = nullptr;
    }
    if (host == nullptr) {
      nodes.push_back(start_node(op, output));
      producer[static_cast<size_t>(output)] = static_cast<int>(nodes.size()) - 1;
      continue;
    }
    Node merged = *host;
    const auto place = host - nodes.data();
    merged.output = output;
    if (op.kind == OpKind::relu) merged.relu = true;
    if (residual >= 0) merged.residual = residual;
    // The residual may be made after the norm (a downsampling shortcut): move the norm behind it.
    nodes.erase(nodes.begin() + place);
    for (int& index : producer) {
      if (index > place) --index;
    }
    nodes.push_back(merged);
    producer[static_cast<size_t>(output)] = static_cast<int>(nodes.size()) - 1;
  }

  Lowered lowered{std::move(nodes), std::vector<std::vector<int>>(network.values.size())};
  for (size_t i = 0; i < lowered.nodes.size(); ++i) {
    const Node& node = lowered.nodes[i];
    lowered.readers[static_cast<size_t>(node.input)].push_back(static_cast<int>(i));
    if (node.residual >= 0) {
      lowered.readers[static_cast<size_t>(node.residual)].push_back(static_cast<int>(i));
    }
  }
  return lowered;
}

}  // namespace hardmoe
