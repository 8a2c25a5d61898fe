// One GPU's loops of k-means and PCA. Points lie in its memory as far as they fit, in sections
// whose cut depends on the matrix only; the rest is sent section by section whenever it is needed.
// Products of points and centroids are made in blocks that stay in the second-level cache and are
// read there once: the points × centroids matrix never exists as a whole.
#pragma once

#include <functional>

#include "cluster/backend.h"
#include "cluster/cuda/device.h"
#include "cluster/cuda/kernels.h"

namespace hardmoe::cluster_cuda {

/// Rows [first, first + rows) of a matrix.
struct Section {
  int64_t first, rows;
  std::unique_ptr<Buffer<float>> data;  ///< null: not kept on the device
};

struct DevicePoints final : Points {
  DevicePoints(MatrixView view, Device& device) : Points(view), probes(device) {}
  std::vector<Section> sections;
  mutable Buffer<float> probes;  ///< the points that mean_gap() looks at; filled when first needed
  mutable int64_t probe_count = 0;
};

class ClusterCuda final : public ClusterBackend {
 public:
  explicit ClusterCuda(std::unique_ptr<Device> device, int64_t section_bytes = int64_t{512} << 20);
  std::string describe() const override { return device_->describe(); }
  int64_t block_rows(int64_t cols) const override;
  std::unique_ptr<Points> load(MatrixView rows) override;
  std::unique_ptr<Pass> begin_pass(const PricedCentroids& rule, PassCache* cache) override;
  float mean_gap(const Points& points, const PricedCentroids& rule) override;
  void add_boundary(const Points& points, const PricedCentroids& rule, const PriceReach& reach,
                    std::unique_ptr<Boundary>& boundary) override;
  void add_column_sums(const Points& points, std::span<double> sums) override;
  void add_scatter(const Points& points, std::span<const float> mean,
                   std::span<double> scatter) override;
  void project(const Points& points, const Pca& pca, float* out) override;

 private:
  class CudaPass;
  void assign(const Points& points, const PricedCentroids& rule, std::span<uint16_t> assignment,
              PassTotals& totals);
  /// The section's rows on the device; good until the next call.
  const float* rows_of(const DevicePoints& points, const Section& section);
  /// Puts centroids_, norms_ (‖c‖²) and biases_ (‖c‖² + p_c) in place.
  void set_rule(const PricedCentroids& rule);
  /// Calls body(scores, first row) for blocks of `count` rows that lie at `rows`.
  void for_each_block(const float* rows, int64_t count, const PricedCentroids& rule,
                      const std::function<void(const Scores&, int64_t)>& body);
  /// sums[s] += the sum of segment s of `order` (null: the rows as they lie); begin: segments + 1.
  void add_segment_sums(const float* rows, int64_t depth, const int32_t* order,
                        const std::vector<int32_t>& begin, std::span<double> sums);

  std::unique_ptr<Device> device_;
  int64_t section_bytes_;
  Buffer<float> staging_, centroids_, norms_, biases_, slack_, products_, values_, centred_, mean_;
  Buffer<uint16_t> labels_, sorted_;
  Buffer<int32_t> order_, begin_, piece_begin_;
  Buffer<double> partial_, sums_;
};

}  // namespace hardmoe::cluster_cuda
