// The nearest centroid of each point among those of a few near groups (cluster/centroid_tree.h).
#pragma once

#include <span>
#include <vector>

#include "cluster/backend.h"
#include "cluster/centroid_tree.h"
#include "cluster/cpu/integer_product.h"
#include "cluster/cpu/screen.h"
#include "cluster/nearest.h"

namespace hardmoe::cpu {

/// Centroids that may win a point, of those compared, for several points.
struct NearCandidates {
  std::vector<int32_t> last;       ///< for each point, the end of its candidates
  std::vector<uint16_t> centroid;  ///< ascending for each point
  std::vector<float> distance;     ///< ‖z − c‖²
};

/// Centroids and prices prepared for it.
class NearScreen {
 public:
  /// The rule's tree, which is not null, must outlive the screen. `slack`: K, for candidates();
  /// empty: zeros.
  NearScreen(const PricedCentroids& rule, const IntegerLevel& level,
             std::span<const float> slack = {});

  /// Returns how many points to pass to candidates() at a time.
  static int64_t block_rows();
  /// Finds for each point every compared centroid whose score ‖z − c‖² + p_c is at most the least
  /// (score + slack); may include others. On the calling thread.
  void candidates(MatrixView points, NearCandidates& found) const;

  /// Finds, of the compared centroids, the one with the least ‖z − c‖² + p_c for each point, the
  /// lower number of equals, and its ‖z − c‖². In parallel over points.
  void assign(MatrixView points, std::span<uint16_t> parts, std::span<float> distances) const;

 private:
  struct Work;
  void assign_block(MatrixView points, std::span<uint16_t> parts, std::span<float> distances,
                    Work& work) const;
  void choose_groups(MatrixView points, Work& work) const;
  /// Calls body(row, centroid's place in the tree's order, ‖z − c‖²) for the candidates of a group's
  /// points.
  template <class Body>
  void compare(MatrixView points, size_t group, Work& work, const Body& body) const;

  const CentroidTree& tree_;
  CentroidTable centers_;
  std::vector<float> ordered_;         ///< K×D: the centroids in the tree's order
  std::vector<float> prices_, slack_;  ///< K: theirs; slack_ may be empty
  std::vector<Screen> screens_;        ///< by group
};

}  // namespace hardmoe::cpu
