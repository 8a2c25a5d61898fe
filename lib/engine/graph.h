// A network as engines run it: operators with the types of their values, batch norm fused with the
// add and ReLU that follow it, losses behind, and what of it is trained. Host-side, no device.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/ops/operators.h"

namespace hardmoe {

struct Node {
  Operator op;
  std::string name;         ///< prefix of its parameters; of a fused norm, the norm's
  std::vector<int> inputs;  ///< value numbers of the network
  int output = -1;          ///< -1: a loss
};

struct Graph {
  Network network;
  std::vector<ValueType> types;  ///< by value
  std::vector<Node> nodes;       ///< in order of execution
  /// By value: the nodes that read it, in order.
  std::vector<std::vector<int>> readers;
  /// By value: something that it is made of is trained, so its gradient is needed.
  std::vector<bool> trained_values;
  /// By node: some parameter of its own is trained.
  std::vector<bool> trained_nodes;

  std::vector<ValueType> input_types(const Node& node) const;
  /// The node's parameters, `suffix` as in ".weight".
  std::vector<ParameterSpec> parameters(const Node& node) const;
  const ValueType& type(int value) const { return types[static_cast<size_t>(value)]; }
};

/// For inference the losses are left out and nothing is trained. Throws Error as value_types(), if
/// a network without logits is to be trained on them, and Error(usage) for a pattern of
/// options.frozen that no parameter's name matches, or if everything is frozen.
Graph make_graph(const Network& network, const CompileOptions& options);

/// Whether a parameter's name matches one of the patterns, in which * stands for any characters.
bool is_frozen(const std::string& name, const std::vector<std::string>& patterns);

}  // namespace hardmoe
