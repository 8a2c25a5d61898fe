// A network as engines run it: its operators, with batch norms fused with the add and ReLU that
// follow, then the losses; the types of its values; and what of it is trained. Uses no device.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/ops/operators.h"

namespace hardmoe {

struct Node {
  Operator op;
  std::string name;         ///< prefix of its parameters; of a fused batch norm, the norm's
  std::vector<int> inputs;  ///< numbers of values; of a fused batch norm also the residual
  int output = -1;          ///< number of a value; -1: none, a loss
};

struct Graph {
  Network network;
  std::vector<ValueType> types;  ///< by value, also of those that fusion leaves out
  std::vector<Node> nodes;       ///< in order of execution
  /// By value: numbers of the nodes that read it, in order.
  std::vector<std::vector<int>> readers;
  /// By value: whether it depends on a trained parameter, so that its gradient is needed.
  std::vector<bool> trained_values;
  /// By node: whether a parameter of its own is trained.
  std::vector<bool> trained_nodes;

  std::vector<ValueType> input_types(const Node& node) const;
  /// Returns the node's parameters and running statistics, with full names ("layer1.0.bn1.weight").
  std::vector<ParameterSpec> parameters(const Node& node) const;
  /// Returns the value that receive() gives as features; -1: none. An image itself is no feature.
  int feature() const {
    return network.feature == 0 && network.input == InputKind::image ? -1 : network.feature;
  }
  const ValueType& type(int value) const { return types[static_cast<size_t>(value)]; }
};

/// Returns the graph of a network. For inference it has no losses, and nothing is trained. Throws
/// as value_types() does; Error if a loss reads a value that is not a float32 score for each of an
/// image's tags, or, a loss of gates, one that is no gate or if its settings are out of range, or if a result of inference is not a float32 vector for each image, or, as a
/// feature, a map; Error(usage) for a batch below 1, a pattern of options.frozen or options.slow
/// that matches no learned parameter's name, or if everything is frozen. `folds`: whether inference's
/// batch norms become a part of convolutions (engine/fold_norms.h).
Graph make_graph(const Network& network, const CompileOptions& options, bool folds = false);

/// Returns whether a parameter's name matches one of the patterns (* stands for any characters).
bool matches_any(const std::string& name, const std::vector<std::string>& patterns);

/// How fast a parameter learns.
enum class Pace {
  full,  ///< at the learning rate
  slow,  ///< at CompileOptions::slow_factor times the learning rate
  none,  ///< not at all
};

/// Returns a parameter's pace in a program; in inference nothing learns.
Pace pace_of(const ParameterSpec& parameter, const CompileOptions& options);

}  // namespace hardmoe
