// Points drawn from others, by which prices are found before all points are asked.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "cluster/point_stream.h"

namespace hardmoe {

/// How near parts of so many points have to come: half as far as is wanted of all in the end, but
/// no nearer than their own chance, √n of n points, allows to tell.
double rough_tolerance(double wanted, int64_t points, int64_t parts);

class PriceSample {
 public:
  /// `count` of these points, in memory.
  PriceSample(const PointStream& points, int64_t count, Random random);
  PointStream& points() { return stream_; }

  /// What to add to the points that each centroid wins, K: what the sample is wrong by under the
  /// rule that gave all points `assignment`. Under a rule much like it most of that stays.
  std::vector<int64_t> corrections(const PricedCentroids& rule,
                                   std::span<const uint16_t> assignment);

  /// Points whose prices are good enough to begin a pass over all points with: what an expert's
  /// share of fewer is wrong by takes more passes.
  static int64_t size_for_all(int64_t rows, int64_t cols, int64_t parts);

 private:
  Tensor rows_;
  MatrixSource source_;
  PointStream stream_;
};

}  // namespace hardmoe
