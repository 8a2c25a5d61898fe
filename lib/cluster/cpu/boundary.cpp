#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>
#include <optional>

#include "base/simd.h"
#include "base/threads.h"
#include "cluster/cpu/backend.h"
#include "cluster/cpu/near_screen.h"
#include "cluster/cpu/screen.h"
#include "cluster/nearest.h"

namespace hardmoe::cpu {
namespace {

/// The candidates of one segment's points.
struct Segment {
  std::vector<int64_t> settled;   ///< K: points that only this centroid can win
  std::vector<int32_t> last;      ///< for each contested point, the end of its candidates
  std::vector<uint16_t> cluster;  ///< candidates, ascending for each point
  std::vector<float> score;       ///< their scores without price
};

HARDMOE_VECTOR_KERNEL
void add_prices(const float* scores, const float* prices, int64_t count, float* priced) {
  for (int64_t c = 0; c < count; ++c) priced[c] = scores[c] + prices[c];
}

/// Calls body(scores, priced scores, index of the least) for each point in [begin, end).
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
      body(scores.data() + r * stride, priced.data() + r * stride,
           static_cast<size_t>(nearest[static_cast<size_t>(r)]));
    }
  }
}

class CpuBoundary final : public Boundary {
 public:
  /// The rule's centroids must outlive all calls of add().
  CpuBoundary(const PricedCentroids& rule, const PriceReach& reach)
      : lowest_(ClusterBackend::lowest_prices(rule, reach)),
        rule_{rule.centroids, lowest_, rule.tree},
        settled_(lowest_.size()) {
    for (size_t c = 0; c < lowest_.size(); ++c) slack_.push_back(reach.down[c] + reach.up[c]);
    const auto levels = integer_levels();
    if (levels.empty()) {
      table_.emplace(rule_.centroids);
    } else if (rule_.tree != nullptr) {
      near_.emplace(rule_, levels[0], slack_);
    } else {
      screen_.emplace(rule_.centroids, rule_.prices, levels[0], Screen::Options{.slack = slack_});
    }
  }

  void add(MatrixView points) {
    const int64_t count = segment_count(points.rows, 1);
    const size_t before = segments_.size();
    segments_.resize(before + static_cast<size_t>(count));
    parallel_for(count, 1, [&](int64_t first, int64_t end) {
      Segment found;  // reused, so that the kept copies take no more memory than needed
      for (int64_t s = first; s < end; ++s) {
        found.settled.assign(lowest_.size(), 0);
        found.last.clear();
        found.cluster.clear();
        found.score.clear();
        const MatrixView rows =
            points.slice(points.rows * s / count, points.rows * (s + 1) / count);
        if (near_) {
          near_candidates(rows, found);
        } else if (screen_) {
          screen_candidates(rows, found);
        } else {
          score_candidates(rows, found);
        }
        segments_[before + static_cast<size_t>(s)] = found;
      }
    });
    for (size_t s = before; s < segments_.size(); ++s) {
      for (size_t c = 0; c < settled_.size(); ++c) settled_[c] += segments_[s].settled[c];
      segments_[s].settled = {};
      candidates_ += segments_[s].cluster.size();
    }
  }

  int64_t candidates() const override { return static_cast<int64_t>(candidates_); }

  void add_sizes(std::span<const float> prices, std::span<int64_t> sizes) const override {
    constexpr size_t candidates_a_thread = 100000;  // fewer are counted faster than a thread starts
    const auto grain =
        static_cast<int64_t>(segments_.size() * candidates_a_thread / (candidates_ + 1));
    for (size_t c = 0; c < sizes.size(); ++c) sizes[c] += settled_[c];
    std::mutex adding;  // sums of integers do not depend on the order
    parallel_for(static_cast<int64_t>(segments_.size()), grain, [&](int64_t first, int64_t end) {
      std::vector<int64_t> found(sizes.size());
      for (auto s = static_cast<size_t>(first); s < static_cast<size_t>(end); ++s) {
        add_winners(segments_[s], prices, found);
      }
      const std::lock_guard lock(adding);
      for (size_t c = 0; c < sizes.size(); ++c) sizes[c] += found[c];
    });
  }

 private:
  void score_candidates(MatrixView points, Segment& segment) const {
    std::vector<uint16_t> found(lowest_.size() + 1);
    const auto add = [&](const float* scores, const float* priced, size_t) {
      float limit = INFINITY;
      for (size_t c = 0; c < lowest_.size(); ++c) limit = std::min(limit, priced[c] + slack_[c]);
      size_t count = 0;
      // Written without a branch, which would be mispredicted.
      for (size_t c = 0; c < lowest_.size(); ++c) {
        found[count] = static_cast<uint16_t>(c);
        count += priced[c] <= limit ? 1 : 0;
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
    };
    for_each_scored_point(points, *table_, lowest_, 0, points.rows, add);
  }

  /// The same by integer products. Scores here are squared distances, which differ from the table's
  /// by the same amount for all centroids of a point.
  void screen_candidates(MatrixView points, Segment& segment) const {
    const auto squared_distance = supported_kernels()[0].squared_distance;
    const int64_t block = screen_->block_rows();
    Candidates found;
    std::vector<float> distances;
    for (int64_t row = 0; row < points.rows; row += block) {
      const int64_t last_row = std::min(points.rows, row + block);
      screen_->find(points.slice(row, last_row), found);
      size_t from = 0;
      for (int64_t i = row; i < last_row; ++i) {
        const auto to = static_cast<size_t>(found.last[static_cast<size_t>(i - row)]);
        const auto candidates = std::span(found.centroid).subspan(from, to - from);
        distances.clear();
        for (size_t j = 0; candidates.size() > 1 && j < candidates.size(); ++j) {
          distances.push_back(
              squared_distance(points.row(i), rule_.centroids.row(candidates[j]), points.cols));
        }
        add_point(candidates, distances, segment);
        from = to;
      }
    }
  }

  /// The same among near centroids.
  void near_candidates(MatrixView points, Segment& segment) const {
    NearCandidates found;
    for (int64_t row = 0; row < points.rows; row += NearScreen::block_rows()) {
      near_->candidates(points.slice(row, std::min(points.rows, row + NearScreen::block_rows())),
                        found);
      size_t from = 0;
      for (const int32_t last : found.last) {
        const size_t count = static_cast<size_t>(last) - from;
        add_point(std::span(found.centroid).subspan(from, count),
                  std::span(found.distance).subspan(from, count), segment);
        from += count;
      }
    }
  }

  /// Adds a point with its candidates, of which some may yet be ruled out. `distances`: theirs; not
  /// read of a single one.
  void add_point(std::span<const uint16_t> candidates, std::span<const float> distances,
                 Segment& segment) const {
    if (candidates.size() == 1) {
      ++segment.settled[candidates[0]];
      return;
    }
    float limit = INFINITY;
    for (size_t j = 0; j < candidates.size(); ++j) {
      const uint16_t c = candidates[j];
      limit = std::min(limit, distances[j] + lowest_[c] + slack_[c]);
    }
    const size_t before = segment.cluster.size();
    for (size_t j = 0; j < candidates.size(); ++j) {
      if (distances[j] + lowest_[candidates[j]] > limit) continue;
      segment.cluster.push_back(candidates[j]);
      segment.score.push_back(distances[j]);
    }
    if (segment.cluster.size() - before > 1) {
      segment.last.push_back(static_cast<int32_t>(segment.cluster.size()));
      return;
    }
    ++segment.settled[segment.cluster.back()];
    segment.cluster.resize(before);
    segment.score.resize(before);
  }

  static void add_winners(const Segment& segment, std::span<const float> prices,
                          std::vector<int64_t>& sizes) {
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
  }

  std::vector<float> lowest_, slack_;   ///< K: the lowest prices; down + up
  PricedCentroids rule_;                ///< the centroids with the lowest prices
  std::optional<NearScreen> near_;      ///< for a rule with a tree, where integers are supported
  std::optional<Screen> screen_;        ///< for others there
  std::optional<CentroidTable> table_;  ///< elsewhere
  std::vector<int64_t> settled_;        ///< K: points that only this centroid can win
  std::vector<Segment> segments_;
  size_t candidates_ = 0;
};

/// Returns the difference between the second-best and the best of a row of scores.
float gap(const float* priced, size_t count, float best) {
  float second = INFINITY;
  bool seen = false;
  for (size_t c = 0; c < count; ++c) {
    if (priced[c] == best && !seen) {
      seen = true;
    } else {
      second = std::min(second, priced[c]);
    }
  }
  return second - best;
}

}  // namespace

float ClusterCpu::mean_gap(const Points& points, const PricedCentroids& rule) {
  const MatrixView rows = points.view();
  const CentroidTable table(rule.centroids);
  constexpr int64_t probes = 4096;
  const int64_t step = std::max<int64_t>(1, rows.rows / probes);
  const int64_t run = step == 1 ? table.block_rows() : 1;  // rows scored together
  const int64_t runs = (rows.rows + run * step - 1) / (run * step);
  std::vector<double> sums(static_cast<size_t>(runs));
  parallel_for(runs, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t first = r * run * step;
      for_each_scored_point(rows, table, rule.prices, first, std::min(first + run, rows.rows),
                            [&](const float*, const float* priced, size_t best) {
                              sums[static_cast<size_t>(r)] +=
                                  double{gap(priced, rule.prices.size(), priced[best])};
                            });
    }
  });
  const int64_t count = step == 1 ? rows.rows : runs;
  return static_cast<float>(std::accumulate(sums.begin(), sums.end(), 0.0) /
                            static_cast<double>(count));
}

void ClusterCpu::add_boundary(const Points& points, const PricedCentroids& rule,
                              const PriceReach& reach, std::unique_ptr<Boundary>& boundary) {
  if (boundary == nullptr) boundary = std::make_unique<CpuBoundary>(rule, reach);
  static_cast<CpuBoundary&>(*boundary).add(points.view());
}

}  // namespace hardmoe::cpu
