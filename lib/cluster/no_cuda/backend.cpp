#include "cluster/backend.h"
#include "gpu/no_cuda/no_cuda.h"

namespace hardmoe {

std::unique_ptr<ClusterBackend> make_cuda_cluster_backend(int device) { fail_no_cuda(device); }

}  // namespace hardmoe
