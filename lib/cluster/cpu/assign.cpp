#include <fmt/format.h>

#include "base/threads.h"
#include "cluster/cpu/backend.h"
#include "cluster/kernels.h"
#include "cluster/nearest.h"

namespace hardmoe::cpu {
namespace {

/// Assigns points [begin, end) and adds them to `totals` while they are in the cache.
void pass_segment(MatrixView points, MatrixView centroids, const CentroidTable& table,
                  int64_t begin, int64_t end, std::span<uint16_t> assignment, PassTotals& totals) {
  const Kernels& kernels = supported_kernels()[0];
  const int64_t block = table.block_rows();
  std::vector<float> scores(static_cast<size_t>(block * table.stride()));
  std::vector<int32_t> index(static_cast<size_t>(block));
  for (int64_t first = begin; first < end; first += block) {
    const int64_t rows = std::min(block, end - first);
    table.score(points.slice(first, first + rows), scores.data());
    table.nearest(scores.data(), rows, index.data());
    for (int64_t r = 0; r < rows; ++r) {
      const float* point = points.row(first + r);
      const int32_t c = index[static_cast<size_t>(r)];
      uint16_t& part = assignment[static_cast<size_t>(first + r)];
      totals.moved += part != c;
      part = static_cast<uint16_t>(c);
      ++totals.sizes[static_cast<size_t>(c)];
      // From the difference itself: the score has lost digits to ‖z‖².
      totals.inertia += double{kernels.squared_distance(point, centroids.row(c), points.cols)};
      add_to_sums(point, points.cols, totals.sums.data() + c * points.cols);
    }
  }
}

}  // namespace

std::string ClusterCpu::describe() const {
  return fmt::format("CPU, {} threads", compute_threads());
}

std::unique_ptr<Points> ClusterCpu::load(MatrixView rows) { return std::make_unique<Points>(rows); }

void ClusterCpu::assign(const Points& points, const PricedCentroids& rule,
                        std::span<uint16_t> assignment, PassTotals& totals) {
  const MatrixView rows = points.view(), centroids = rule.centroids;
  const CentroidTable table(centroids, rule.prices);
  const int64_t bytes = centroids.rows * centroids.cols * static_cast<int64_t>(sizeof(double));
  const int64_t segments = segment_count(rows.rows, bytes);
  std::vector<PassTotals> partial(static_cast<size_t>(segments),
                                  PassTotals(centroids.rows, centroids.cols));
  parallel_for(segments, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      pass_segment(rows, centroids, table, rows.rows * s / segments, rows.rows * (s + 1) / segments,
                   assignment, partial[static_cast<size_t>(s)]);
    }
  });
  for (const PassTotals& part : partial) totals.add(part);
}

}  // namespace hardmoe::cpu
