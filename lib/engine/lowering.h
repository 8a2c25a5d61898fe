// What every engine does to a Network before compiling it: fuse batch norm with the add and ReLU
// that follow it, and order the work forwards and backwards. Host-side, no device.
#pragma once

#include <vector>

#include "nn/network.h"

namespace hardmoe {

enum class NodeKind { conv, norm, max_pool, global_avg_pool, linear };

/// One fused operator. norm: y = [relu](batch_norm(x) [+ residual]).
struct Node {
  NodeKind kind;
  Op op;              ///< the (first) operator it came from: name, kernel, stride, padding
  int input = 0;      ///< value numbers of the network
  int residual = -1;  ///< norm only; -1: none
  int output = 0;
  bool relu = false;  ///< norm only
};

struct Lowered {
  std::vector<Node> nodes;  ///< in order of execution
  /// For each value of the network: the nodes that read it, in order.
  std::vector<std::vector<int>> readers;
};

/// Throws Error if an operator cannot be fused into the node forms above (a ReLU without a norm,
/// say).
Lowered lower(const Network& network);

}  // namespace hardmoe
