// The search for prices that give parts their sizes, between two passes over the points. Part of
// fit_prices (balance.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/backend.h"
#include "cluster/part_tree.h"

namespace hardmoe {

/// Which centroids make up each part.
class Parts {
 public:
  /// `part_of`: each centroid's part, below `parts`; empty: each centroid is a part.
  /// `corrections`: added to the number of points each centroid wins; empty: none. Both must
  /// outlive this.
  Parts(std::span<const uint16_t> part_of, int64_t parts, MatrixView centroids,
        std::span<const int64_t> corrections);
  /// Returns the number of parts.
  size_t count() const { return count_; }
  /// Returns the centroid's part.
  size_t of(size_t centroid) const { return part_of_.empty() ? centroid : part_of_[centroid]; }
  const PartTree& tree() const { return tree_; }

  /// Returns the parts' sizes under these prices of the centroids.
  std::vector<int64_t> sizes(const Boundary& boundary, std::span<const float> prices) const;

 private:
  std::span<const uint16_t> part_of_;
  std::span<const int64_t> corrections_;
  size_t count_;
  PartTree tree_;
};

/// The acceptable sizes of a part: whole numbers within (1 ± tolerance)·target, and always the
/// whole numbers next to the target, so that few points have acceptable sizes too.
struct SizeRange {
  static constexpr double rounding = 1e-9;  ///< of the limits, so that 0.95 · 100 is 95
  double target;
  int64_t least, most;
  SizeRange(double target, double tolerance);
  /// Returns the range widened outward to whole numbers: what a search may aim at.
  static SizeRange around(double target, double tolerance);
  /// Returns the intersection of the two ranges.
  SizeRange within(const SizeRange& other) const;
  bool holds(int64_t size) const { return size >= least && size <= most; }
  /// Returns by how many points the sizes are outside the range, summed over parts.
  int64_t excess(std::span<const int64_t> sizes) const;
};

/// When the search stops.
struct SizeGoal {
  SizeRange wanted;      ///< the range that sizes are moved towards
  SizeRange acceptable;  ///< the range that every size must be in
  int64_t enough;        ///< the excess over `wanted` that is acceptable
};

/// Changes each price by a step of its own, which grows while the sign of its part's error stays
/// and shrinks when it turns (Riedmiller & Braun's Rprop, 1993). Only the sign is used because the
/// gradient jumps where a dense group of points changes sides. A group of parts far from all others
/// must raise its prices together; alone its parts would only hand points to one another. So the
/// nodes of the tree of parts move too.
class PriceSearch {
 public:
  /// What a call achieved.
  struct Result {
    int rounds = 0;              ///< price changes tried
    bool within = false;         ///< the goal is met
    int64_t excess = INT64_MAX;  ///< over the wanted range, at the chosen prices
    std::vector<int64_t> sizes;  ///< of the parts, at the chosen prices
    std::vector<float> change;   ///< of each part's price in the last round, in units
  };

  /// `parts` must outlive the search.
  PriceSearch(const Parts& parts, const SizeGoal& goal);

  /// Moves prices, in place, to the best found within `reach` (one entry a part, in multiples of
  /// `unit`); `boundary` must have been made with that reach. Steps continue from the last call.
  Result improve(const Boundary& boundary, const PriceReach& reach, float unit, int rounds,
                 std::span<float> prices);

 private:
  void step(std::span<const int64_t> sizes, const std::vector<float>& longest);
  /// Returns how far each part's price has moved, together with the nodes above it, clamped to
  /// `reach`.
  std::vector<float> changes(const PriceReach& reach) const;

  const Parts* parts_;
  SizeGoal goal_;
  std::vector<float> moves_, steps_;  ///< by node
  std::vector<int> signs_;
};

}  // namespace hardmoe
