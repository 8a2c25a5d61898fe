#include <algorithm>
#include <cmath>

#include "base/simd.h"
#include "base/threads.h"
#include "cluster/cpu/backend.h"
#include "cluster/nearest.h"

namespace hardmoe::cpu {
namespace {

/// One segment's points.
struct Segment {
  std::vector<int64_t> settled;   ///< K: points that only this centroid can win
  std::vector<int32_t> last;      ///< for each contested point, the end of its candidates below
  std::vector<uint16_t> cluster;  ///< candidates, ascending in each point
  std::vector<float> score;       ///< their scores without price
};

HARDMOE_VECTOR_KERNEL
void add_prices(const float* scores, const float* prices, int64_t count, float* priced) {
  for (int64_t c = 0; c < count; ++c) priced[c] = scores[c] + prices[c];
}

/// Calls body(scores, priced scores, the least of these) for each of points [begin, end).
template <class Body>
void for_each_scored_point(MatrixView points, const CentroidTable& table,
                           std::span<const float> prices, int64_t begin, int64_t end,
                           const Body& body) {
  const int64_t block = std::min(table.block_rows(), end - begin), stride = table.stride();
  std::vector<float> padded(prices.begin(), prices.end());
  padded.resize(static_cast<size_t>(stride));
  std::vector<float> scores(static_cast<size_t>(block * stride)), priced(scores.size());
  std::vector<int32_t> nearest(static_cast<size_t>(block));
  for (int64_t first = begin; first < end; first += block) {
    const int64_t rows = std::min(block, end - first);
    table.score(points.slice(first, first + rows), scores.data());
    for (int64_t r = 0; r < rows; ++r) {
      add_prices(scores.data() + r * stride, padded.data(), stride, priced.data() + r * stride);
    }
    table.nearest(priced.data(), rows, nearest.data());
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = priced.data() + r * stride;
      body(scores.data() + r * stride, row, row[nearest[static_cast<size_t>(r)]]);
    }
  }
}

std::vector<Segment> find_candidates(MatrixView points, const CentroidTable& table,
                                     std::span<const float> prices, float slack) {
  const int64_t segments = segment_count(points.rows, 1);
  std::vector<Segment> found_segments(static_cast<size_t>(segments));
  parallel_for(segments, 1, [&](int64_t first, int64_t end) {
    for (int64_t s = first; s < end; ++s) {
      Segment& segment = found_segments[static_cast<size_t>(s)];
      segment.settled.assign(prices.size(), 0);
      std::vector<uint16_t> found(prices.size() + 1);
      for_each_scored_point(
          points, table, prices, points.rows * s / segments, points.rows * (s + 1) / segments,
          [&](const float* scores, const float* priced, float best) {
            size_t count = 0;
            for (size_t c = 0; c < prices.size(); ++c) {  // without a branch to mispredict
              found[count] = static_cast<uint16_t>(c);
              count += priced[c] <= best + slack ? 1 : 0;
            }
            if (count == 1) {
              ++segment.settled[found[0]];
              return;
            }
            for (size_t i = 0; i < count; ++i) {
              segment.cluster.push_back(found[i]);
              segment.score.push_back(scores[found[i]]);
            }
            segment.last.push_back(static_cast<int32_t>(segment.cluster.size()));
          });
    }
  });
  return found_segments;
}

class CpuBoundary final : public Boundary {
 public:
  explicit CpuBoundary(std::vector<Segment> segments) : segments_(std::move(segments)) {}

  void add_sizes(std::span<const float> prices, std::span<int64_t> sizes) const override {
    constexpr size_t candidates_a_thread = 100000;  // fewer are counted sooner than a thread starts
    size_t candidates = 1;
    for (const Segment& segment : segments_) candidates += segment.cluster.size();
    const auto grain = static_cast<int64_t>(segments_.size() * candidates_a_thread / candidates);
    std::vector<std::vector<int64_t>> partial(segments_.size());
    parallel_for(static_cast<int64_t>(segments_.size()), grain, [&](int64_t first, int64_t end) {
      for (auto s = static_cast<size_t>(first); s < static_cast<size_t>(end); ++s) {
        partial[s] = segment_sizes(segments_[s], prices);
      }
    });
    for (const auto& part : partial) {
      for (size_t c = 0; c < sizes.size(); ++c) sizes[c] += part[c];
    }
  }

 private:
  static std::vector<int64_t> segment_sizes(const Segment& segment, std::span<const float> prices) {
    std::vector<int64_t> sizes = segment.settled;
    size_t i = 0;
    for (const int32_t last : segment.last) {
      uint16_t winner = segment.cluster[i];
      float best = segment.score[i] + prices[winner];
      for (++i; i < static_cast<size_t>(last); ++i) {
        const uint16_t c = segment.cluster[i];
        const float score = segment.score[i] + prices[c];
        winner = score < best ? c : winner;
        best = std::min(best, score);
      }
      ++sizes[winner];
    }
    return sizes;
  }

  std::vector<Segment> segments_;
};

}  // namespace

float ClusterCpu::mean_gap(const Points& points, const PricedCentroids& rule) {
  const MatrixView rows = points.view();
  const CentroidTable table(rule.centroids);
  const auto prices = rule.prices;
  constexpr int64_t probes = 4096;
  const int64_t step = std::max<int64_t>(1, rows.rows / probes);
  double sum = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < rows.rows; i += step, ++count) {
    for_each_scored_point(rows, table, prices, i, i + 1,
                          [&](const float*, const float* priced, float best) {
                            float second = INFINITY;
                            bool seen = false;
                            for (size_t c = 0; c < prices.size(); ++c) {
                              if (priced[c] == best && !seen) {
                                seen = true;
                              } else {
                                second = std::min(second, priced[c]);
                              }
                            }
                            sum += double{second - best};
                          });
  }
  return static_cast<float>(sum / static_cast<double>(count));
}

std::unique_ptr<Boundary> ClusterCpu::find_boundary(const Points& points,
                                                    const PricedCentroids& rule, float slack) {
  return std::make_unique<CpuBoundary>(
      find_candidates(points.view(), CentroidTable(rule.centroids), rule.prices, slack));
}

}  // namespace hardmoe::cpu
