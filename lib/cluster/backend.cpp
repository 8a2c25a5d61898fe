#include "cluster/backend.h"

#include "base/device_name.h"
#include "cluster/cpu/backend.h"

namespace hardmoe {

std::unique_ptr<Boundary> ClusterBackend::find_boundary(const Points& points,
                                                        const PricedCentroids& rule, float slack) {
  std::unique_ptr<Boundary> boundary;
  add_boundary(points, rule, slack, boundary);
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

}  // namespace hardmoe
