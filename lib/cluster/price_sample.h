// A sample of the points, on which prices are found before all points are visited.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "cluster/point_stream.h"

namespace hardmoe {

/// Returns the tolerance to ask of a sample of `points` points: half of `wanted`, but no less than
/// the sampling error of a part's size (√n of n points) can resolve.
double rough_tolerance(double wanted, int64_t points, int64_t parts);

/// A random sample of a stream's points, in memory.
class PriceSample {
 public:
  /// Draws `count` of these points.
  PriceSample(const PointStream& points, int64_t count, Random random);
  PointStream& points() { return stream_; }

  /// Returns, for each centroid (K), how many points to add to what it wins in the sample, given
  /// that `rule` gave all points this `assignment`. The sample's error under a similar rule is
  /// nearly the same.
  std::vector<int64_t> corrections(const PricedCentroids& rule,
                                   std::span<const uint16_t> assignment);

  /// Returns how large a sample must be to find the prices with which passes over all points begin.
  /// With a smaller one, a part's size is so uncertain that more passes are needed.
  static int64_t size_for_all(int64_t rows, int64_t cols, int64_t parts);

 private:
  Tensor rows_;
  MatrixSource source_;
  PointStream stream_;
};

}  // namespace hardmoe
