#include "cluster/backend.h"

#include "base/device_name.h"
#include "cluster/cpu/backend.h"

namespace hardmoe {

std::unique_ptr<Boundary> ClusterBackend::find_boundary(const Points& points,
                                                        const PricedCentroids& rule,
                                                        const PriceReach& reach) {
  std::unique_ptr<Boundary> boundary;
  add_boundary(points, rule, reach, boundary);
  return boundary;
}

ClusterBackend& cpu_cluster_backend() {
  static cpu::ClusterCpu backend;
  return backend;
}

std::unique_ptr<ClusterBackend> make_cluster_backend(const std::string& device) {
  if (const auto gpu = parse_device_name(device)) return make_cuda_cluster_backend(*gpu);
  return std::make_unique<cpu::ClusterCpu>();
}

std::vector<float> ClusterBackend::lowest_prices(const PricedCentroids& rule,
                                                 const PriceReach& reach) {
  std::vector<float> lowest;
  for (size_t c = 0; c < reach.down.size(); ++c) {
    lowest.push_back(rule.prices[c] - reach.down[c]);
  }
  return lowest;
}

}  // namespace hardmoe
