#include "cluster/backend.h"
#include "base/error.h"

namespace hardmoe {

std::unique_ptr<ClusterBackend> make_cuda_cluster_backend(int device) {
  fail_usage("--device cuda:{}: this build has no GPU engine ({}); use --device cpu", device,
             HARDMOE_NO_CUDA);
}

}  // namespace hardmoe
