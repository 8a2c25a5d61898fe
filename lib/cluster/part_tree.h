// Parts joined with those near them, level by level, so that many prices can move as one.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/matrix_view.h"

namespace hardmoe {

/// Nodes: the parts, in order, then what they are joined to; a node's parent comes after it.
struct PartTree {
  std::vector<int32_t> parent;  ///< of each node but the last, the root
  std::vector<int32_t> parts;   ///< how many each node holds, 1 for a part

  size_t nodes() const { return parts.size(); }
};

/// Of parts with these centres (K×D): in each level every node is joined with the one whose centre
/// is nearest (Borůvka's steps), so that there are at most log2 K levels.
PartTree join_near_parts(MatrixView centres);

}  // namespace hardmoe
