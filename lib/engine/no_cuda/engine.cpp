// Builds without the GPU engine.
#include "engine/cuda_engine.h"
#include "gpu/no_cuda/no_cuda.h"

namespace hardmoe {

std::unique_ptr<Engine> make_cuda_engine(int device) { fail_no_cuda(device); }

std::string describe_cuda_device(int device) { fail_no_cuda(device); }

}  // namespace hardmoe
