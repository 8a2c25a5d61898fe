// How prices find their parts' sizes between two looks at the points.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/backend.h"
#include "cluster/part_tree.h"

namespace hardmoe {

/// Which centroids make up a part.
class Parts {
 public:
  /// `part_of` each centroid, below `parts`; empty: each is a part. `corrections` to the points
  /// each centroid wins; empty: none. They must outlive this.
  Parts(std::span<const uint16_t> part_of, int64_t parts, MatrixView centroids,
        std::span<const int64_t> corrections);
  size_t count() const { return count_; }
  size_t of(size_t centroid) const { return part_of_.empty() ? centroid : part_of_[centroid]; }
  const PartTree& tree() const { return tree_; }

  /// Under `prices` of the centroids.
  std::vector<int64_t> sizes(const Boundary& boundary, std::span<const float> prices) const;

 private:
  std::span<const uint16_t> part_of_;
  std::span<const int64_t> corrections_;
  size_t count_;
  PartTree tree_;
};

/// The sizes that will do: whole numbers within (1 ± tolerance)·target, and those next to the
/// target, so that there are some for few points too.
struct SizeRange {
  static constexpr double rounding = 1e-9;  ///< of the limits: 0.95 · 100 is 95
  double target;
  int64_t least, most;
  SizeRange(double target, double tolerance);
  /// What a search may aim at: whole numbers next to (1 ± tolerance)·target on the far side.
  static SizeRange around(double target, double tolerance);
  /// What both hold.
  SizeRange within(const SizeRange& other) const;
  bool holds(int64_t size) const { return size >= least && size <= most; }
  /// The sum of what parts have beyond the range.
  int64_t excess(std::span<const int64_t> sizes) const;
};

/// When to stop.
struct SizeGoal {
  SizeRange wanted;      ///< what sizes are brought towards
  SizeRange acceptable;  ///< what all of them must be within
  int64_t enough;        ///< their excess beyond what is wanted that will do
};

/// Each price by steps of its own, longer while the sign of its part's error stays and shorter when
/// it turns (Riedmiller & Braun's Rprop, 1993): the gradient has cliffs where a dense group of
/// points changes sides, so its size says little and its sign is what counts. A group of parts far
/// from all others has to climb far as one, which its parts alone would only do by handing points
/// round among themselves: so the nodes of the parts' tree move too.
class PriceSearch {
 public:
  struct Result {
    int rounds = 0;
    bool within = false;         ///< the goal is met
    int64_t excess = INT64_MAX;  ///< beyond what is wanted, at the prices chosen
    std::vector<int64_t> sizes;  ///< at these
    std::vector<float> change;   ///< of each part's price at the end, in units
  };

  /// `parts` must outlive this.
  PriceSearch(const Parts& parts, const SizeGoal& goal);

  /// Moves prices, in place, to the best that are met within `reach` (of parts, in units of price
  /// `unit`), which is what `boundary` must tell. Goes on with the steps of the call before.
  Result improve(const Boundary& boundary, const PriceReach& reach, float unit, int rounds,
                 std::span<float> prices);

 private:
  void step(std::span<const int64_t> sizes, const std::vector<float>& longest);
  /// How far each part has gone, with the nodes above it, as far as it may.
  std::vector<float> changes(const PriceReach& reach) const;

  const Parts* parts_;
  SizeGoal goal_;
  std::vector<float> moves_, steps_;  ///< by node
  std::vector<int> signs_;
};

}  // namespace hardmoe
