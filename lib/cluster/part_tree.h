// A tree that joins parts with nearby parts, level by level, so that many prices can move together.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/matrix_view.h"

namespace hardmoe {

/// Nodes are numbered: first the parts, in order, then the nodes that join them. A node's parent
/// has a higher number.
struct PartTree {
  std::vector<int32_t> parent;  ///< each node's parent; the last node, the root, has none
  std::vector<int32_t> parts;   ///< the number of parts below each node; 1 for a part

  size_t nodes() const { return parts.size(); }
};

/// Returns the tree of parts with these centres (K×D). In each level every node is joined with the
/// node whose centre is nearest (Borůvka's steps), so there are at most log2 K levels.
PartTree join_near_parts(MatrixView centres);

}  // namespace hardmoe
