#include "cluster/price_sample.h"

#include <algorithm>
#include <cmath>

#include "cluster/kmeans.h"

namespace hardmoe {

double rough_tolerance(double wanted, int64_t points, int64_t parts) {
  const double points_a_part = static_cast<double>(points) / static_cast<double>(parts);
  return std::max(wanted / 2, 0.5 / std::sqrt(points_a_part));
}

PriceSample::PriceSample(const PointStream& points, int64_t count, Random random)
    : rows_(points.sample(count, random)),
      source_(matrix_view(rows_)),
      stream_(source_, points.backend()) {}

std::vector<int64_t> PriceSample::corrections(const PricedCentroids& rule,
                                              std::span<const uint16_t> assignment) {
  std::vector<uint16_t> parts(static_cast<size_t>(stream_.rows()));
  const std::vector<int64_t> found = assign_all(stream_, rule, parts).sizes;
  std::vector<int64_t> corrections(found.size());
  for (const uint16_t part : assignment) ++corrections[part];
  const double share = static_cast<double>(parts.size()) / static_cast<double>(assignment.size());
  for (size_t c = 0; c < found.size(); ++c) {
    corrections[c] = std::llround(share * static_cast<double>(corrections[c])) - found[c];
  }
  return corrections;
}

int64_t PriceSample::size_for_all(int64_t rows, int64_t cols, int64_t parts) {
  constexpr int64_t points_a_part = 4096, most_bytes = int64_t{128} << 20;
  return std::min({rows, points_a_part * parts, most_bytes / (cols * int64_t{sizeof(float)})});
}

}  // namespace hardmoe
