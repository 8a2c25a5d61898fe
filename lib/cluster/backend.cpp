#include "cluster/backend.h"

#include "base/device_name.h"
#include "cluster/cpu/backend.h"

namespace hardmoe {

void PassTotals::add(const PassTotals& other) {
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += other.sums[i];
  for (size_t i = 0; i < sizes.size(); ++i) sizes[i] += other.sizes[i];
  inertia += other.inertia;
  moved += other.moved;
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
