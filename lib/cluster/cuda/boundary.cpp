#include <algorithm>
#include <numeric>

#include "cluster/cuda/backend.h"

namespace hardmoe::cluster_cuda {
namespace {

/// One section's points that more than one centroid can win, and those centroids.
struct Candidates {
  explicit Candidates(Device& device) : first(device), cluster(device), score(device) {}
  int64_t rows = 0, total = 0;  ///< points, candidates
  Buffer<int64_t> first;        ///< rows + 1: where each point's candidates begin below
  Buffer<uint16_t> cluster;
  Buffer<float> score;  ///< without price
};

class DeviceBoundary final : public Boundary {
 public:
  DeviceBoundary(Device& device, int64_t clusters)
      : settled(device), device_(device), clusters_(clusters), prices_(device), sizes_(device) {
    device.zero(settled.reserve(clusters), sizes_bytes(), device.compute());
    prices_.reserve(clusters);
    sizes_.reserve(clusters);
  }

  void add_sizes(std::span<const float> prices, std::span<int64_t> sizes) const override {
    device_.upload(prices_.data(), prices.data(), sizes_bytes());
    device_.copy(sizes_.data(), settled.data(), sizes_bytes(), device_.compute());
    for (const Candidates& c : sections) {
      count_winners(c.first.data(), c.rows, c.cluster.data(), c.score.data(), prices_.data(),
                    sizes_.data(), device_.compute());
    }
    const auto found = sizes_.download(clusters_);
    for (size_t c = 0; c < sizes.size(); ++c) sizes[c] += found[c];
  }

  int64_t candidates() const override {
    int64_t sum = 0;
    for (const Candidates& c : sections) sum += c.total;
    return sum;
  }

  Buffer<int32_t> settled;  ///< K: points that only this centroid can win
  std::vector<Candidates> sections;

 private:
  int64_t sizes_bytes() const { return clusters_ * static_cast<int64_t>(sizeof(int32_t)); }

  Device& device_;
  int64_t clusters_;
  Buffer<float> prices_;
  Buffer<int32_t> sizes_;
};

}  // namespace

float ClusterCuda::mean_gap(const Points& points, const PricedCentroids& rule) {
  const auto& own = static_cast<const DevicePoints&>(points);
  const MatrixView view = own.view();
  if (own.probe_count == 0) {
    constexpr int64_t probes = 4096;
    const int64_t step = std::max<int64_t>(1, view.rows / probes);
    std::vector<float> rows;
    for (int64_t i = 0; i < view.rows; i += step, ++own.probe_count) {
      rows.insert(rows.end(), view.row(i), view.row(i) + view.cols);
    }
    own.probes.upload(rows.data(), own.probe_count * view.cols);
  }
  set_rule(rule);
  values_.reserve(own.probe_count);
  for_each_block(own.probes.data(), own.probe_count, rule,
                 [&](const Scores& scores, int64_t first) {
                   gaps(scores, values_.data() + first, device_->compute());
                 });
  const auto found = values_.download(own.probe_count);
  return static_cast<float>(std::accumulate(found.begin(), found.end(), 0.0) /
                            static_cast<double>(own.probe_count));
}

/// The products are made twice, which costs less than keeping room for all candidates there might
/// be: first they are counted, then written where the counts say. Both times they have the same
/// bits.
void ClusterCuda::add_boundary(const Points& points, const PricedCentroids& rule,
                               const PriceReach& reach, std::unique_ptr<Boundary>& boundary) {
  const auto& own = static_cast<const DevicePoints&>(points);
  if (boundary == nullptr) {
    boundary = std::make_unique<DeviceBoundary>(*device_, rule.centroids.rows);
  }
  auto& added = static_cast<DeviceBoundary&>(*boundary);
  const std::vector<float> lowest = lowest_prices(rule, reach);
  set_rule({rule.centroids, lowest});
  std::vector<float> slack;
  for (size_t c = 0; c < lowest.size(); ++c) slack.push_back(reach.down[c] + reach.up[c]);
  slack_.upload(slack.data(), rule.centroids.rows);
  for (const Section& section : own.sections) {
    Candidates& found = added.sections.emplace_back(*device_);
    found.rows = section.rows;
    const float* rows = rows_of(own, section);
    int64_t* first = found.first.reserve(section.rows + 1);
    float* limits = values_.reserve(section.rows);
    for_each_block(rows, section.rows, rule, [&](const Scores& scores, int64_t begin) {
      count_candidates(scores, slack_.data(), limits + begin, first + begin, added.settled.data(),
                       device_->compute());
    });
    device_->zero(first + section.rows, sizeof(int64_t), device_->compute());
    device_->exclusive_sum(first, section.rows + 1);
    int64_t& total = found.total;
    device_->download(&total, first + section.rows, sizeof total);
    found.cluster.reserve(total);
    found.score.reserve(total);
    if (total == 0) continue;
    for_each_block(rows, section.rows, rule, [&](const Scores& scores, int64_t begin) {
      write_candidates(scores, norms_.data(), limits + begin, first + begin, found.cluster.data(),
                       found.score.data(), device_->compute());
    });
  }
}

}  // namespace hardmoe::cluster_cuda
