#include "cluster/cuda/backend.h"

#include <algorithm>
#include <numeric>

namespace hardmoe {

std::unique_ptr<ClusterBackend> make_cuda_cluster_backend(int device) {
  return std::make_unique<cluster_cuda::ClusterCuda>(
      std::make_unique<cluster_cuda::Device>(device));
}

}  // namespace hardmoe

namespace hardmoe::cluster_cuda {
namespace {

constexpr int64_t section_rows = int64_t{1} << 22;     // what is kept a row must stay small, too
constexpr int64_t products_bytes = int64_t{24} << 20;  // an H100's second-level cache has 50 MiB

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

ClusterCuda::ClusterCuda(std::unique_ptr<Device> device, int64_t section_bytes)
    : device_(std::move(device)),
      section_bytes_(section_bytes),
      staging_(*device_),
      centroids_(*device_),
      norms_(*device_),
      biases_(*device_),
      slack_(*device_),
      products_(*device_),
      values_(*device_),
      centred_(*device_),
      mean_(*device_),
      labels_(*device_),
      sorted_(*device_),
      order_(*device_),
      begin_(*device_),
      piece_begin_(*device_),
      partial_(*device_),
      sums_(*device_) {}

int64_t ClusterCuda::block_rows(int64_t cols) const {
  const int64_t row_bytes = cols * static_cast<int64_t>(sizeof(float));
  return std::clamp<int64_t>(section_bytes_ / row_bytes, 1, section_rows);
}

std::unique_ptr<Points> ClusterCuda::load(MatrixView rows) {
  const int64_t row_bytes = rows.cols * static_cast<int64_t>(sizeof(float));
  const int64_t most = block_rows(rows.cols);
  // What the loops themselves need beside the points: staging, products, what is kept a row.
  const int64_t reserve = std::max(device_->total_bytes() / 8, 4 * section_bytes_);
  auto points = std::make_unique<DevicePoints>(rows, *device_);
  for (int64_t first = 0; first < rows.rows; first += most) {
    Section section{first, std::min(most, rows.rows - first), nullptr};
    if (device_->free_bytes() - section.rows * row_bytes >= reserve) {
      section.data = std::make_unique<Buffer<float>>(*device_);
      section.data->upload(rows.row(first), section.rows * rows.cols);
    }
    points->sections.push_back(std::move(section));
  }
  return points;
}

const float* ClusterCuda::rows_of(const DevicePoints& points, const Section& section) {
  if (section.data != nullptr) return section.data->data();
  const MatrixView view = points.view();
  return staging_.upload(view.row(section.first), section.rows * view.cols);
}

void ClusterCuda::set_rule(const PricedCentroids& rule) {
  const MatrixView centroids = rule.centroids;
  std::vector<float> norms, biases;
  for (int64_t c = 0; c < centroids.rows; ++c) {
    const float* row = centroids.row(c);
    double norm = 0;
    for (int64_t d = 0; d < centroids.cols; ++d) norm += double{row[d]} * double{row[d]};
    norms.push_back(static_cast<float>(norm));
    biases.push_back(static_cast<float>(norm + double{rule.prices[static_cast<size_t>(c)]}));
  }
  centroids_.upload(centroids.data, centroids.rows * centroids.cols);
  norms_.upload(norms.data(), centroids.rows);
  biases_.upload(biases.data(), centroids.rows);
}

void ClusterCuda::for_each_block(const float* rows, int64_t count, const PricedCentroids& rule,
                                 const std::function<void(const Scores&, int64_t)>& body) {
  const int64_t clusters = rule.centroids.rows, depth = rule.centroids.cols;
  const int64_t fitting = products_bytes / (clusters * static_cast<int64_t>(sizeof(float)));
  const int64_t block = std::min(round_up(std::max<int64_t>(fitting, 1), 128), count);
  float* products = products_.reserve(block * clusters);
  for (int64_t first = 0; first < count; first += block) {
    const int64_t size = std::min(block, count - first);
    device_->multiply(rows + first * depth, centroids_.data(), size, clusters, depth, products);
    body({products, biases_.data(), size, clusters}, first);
  }
}

void ClusterCuda::add_segment_sums(const float* rows, int64_t depth, const int32_t* order,
                                   const std::vector<int32_t>& begin, std::span<double> sums) {
  const auto segments = static_cast<int64_t>(begin.size()) - 1;
  std::vector<int32_t> piece_begin = {0};
  for (size_t s = 0; s + 1 < begin.size(); ++s) {
    const int64_t size = begin[s + 1] - begin[s];
    piece_begin.push_back(piece_begin.back() +
                          static_cast<int32_t>((size + piece_rows - 1) / piece_rows));
  }
  const int64_t pieces = piece_begin.back();
  begin_.upload(begin.data(), segments + 1);
  piece_begin_.upload(piece_begin.data(), segments + 1);
  partial_.reserve(pieces * depth);
  sums_.reserve(segments * depth);
  sum_pieces(rows, depth, order, begin_.data(), piece_begin_.data(), segments, pieces,
             partial_.data(), device_->compute());
  sum_segments(partial_.data(), piece_begin_.data(), segments, depth, sums_.data(),
               device_->compute());
  const auto found = sums_.download(segments * depth);
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += found[i];
}

class ClusterCuda::CudaPass final : public Pass {
 public:
  CudaPass(ClusterCuda& backend, const PricedCentroids& rule) : backend_(backend), rule_(rule) {}
  void assign(const Points& points, int64_t, std::span<uint16_t> assignment,
              PassTotals& totals) override {
    backend_.assign(points, rule_, assignment, totals);
  }

 private:
  ClusterCuda& backend_;
  PricedCentroids rule_;
};

std::unique_ptr<Pass> ClusterCuda::begin_pass(const PricedCentroids& rule, PassCache*) {
  return std::make_unique<CudaPass>(*this, rule);
}

void ClusterCuda::assign(const Points& points, const PricedCentroids& rule,
                         std::span<uint16_t> assignment, PassTotals& totals) {
  const auto& own = static_cast<const DevicePoints&>(points);
  const int64_t clusters = rule.centroids.rows, depth = rule.centroids.cols;
  set_rule(rule);
  for (const Section& section : own.sections) {
    const int64_t count = section.rows;
    const float* rows = rows_of(own, section);
    uint16_t* labels = labels_.reserve(count);
    float* distances = values_.reserve(count);
    for_each_block(rows, count, rule, [&](const Scores& scores, int64_t first) {
      nearest(scores, rows + first * depth, centroids_.data(), depth, labels + first,
              distances + first, device_->compute());
    });
    const int64_t parts = (count + values_a_sum - 1) / values_a_sum;
    sum_values(distances, count, partial_.reserve(parts), device_->compute());
    const auto inertia = partial_.download(parts);
    totals.inertia = std::accumulate(inertia.begin(), inertia.end(), totals.inertia);

    device_->sort_labels(labels, count, clusters, sorted_.reserve(count), order_.reserve(count));
    segment_begins(sorted_.data(), count, clusters, begin_.reserve(clusters + 1),
                   device_->compute());
    const auto begin = begin_.download(clusters + 1);
    for (size_t c = 0; c < totals.sizes.size(); ++c) totals.sizes[c] += begin[c + 1] - begin[c];
    add_segment_sums(rows, depth, order_.data(), begin, totals.sums);

    const auto found = labels_.download(count);
    const auto before = assignment.subspan(static_cast<size_t>(section.first), found.size());
    for (size_t i = 0; i < found.size(); ++i) totals.moved += found[i] != before[i] ? 1 : 0;
    std::copy(found.begin(), found.end(), before.begin());
  }
}

void ClusterCuda::add_column_sums(const Points& points, std::span<double> sums) {
  const auto& own = static_cast<const DevicePoints&>(points);
  for (const Section& section : own.sections) {
    add_segment_sums(rows_of(own, section), own.view().cols, nullptr,
                     {0, static_cast<int32_t>(section.rows)}, sums);
  }
}

}  // namespace hardmoe::cluster_cuda
