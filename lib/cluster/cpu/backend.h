// The CPU's clustering backend. Loops run over segments of rows whose partial results are added in
// a fixed order, so results do not depend on the number of threads. Others call
// cpu_cluster_backend().
#pragma once

#include "cluster/backend.h"

namespace hardmoe::cpu {

class ClusterCpu final : public ClusterBackend {
 public:
  std::string describe() const override;
  int64_t block_rows(int64_t cols) const override;
  std::unique_ptr<Points> load(MatrixView rows) override;
  bool searches_near() const override;
  std::unique_ptr<Pass> begin_pass(const PricedCentroids& rule, PassCache* cache) override;
  std::unique_ptr<PassCache> make_pass_cache(int64_t rows, int64_t clusters, bool settled,
                                             int64_t& bytes) const override;
  float mean_gap(const Points& points, const PricedCentroids& rule) override;
  void add_boundary(const Points& points, const PricedCentroids& rule, const PriceReach& reach,
                    std::unique_ptr<Boundary>& boundary) override;
  void add_column_sums(const Points& points, std::span<double> sums) override;
  void add_scatter(const Points& points, std::span<const float> mean,
                   std::span<double> scatter) override;
  void project(const Points& points, const Pca& pca, float* out) override;
};

}  // namespace hardmoe::cpu
