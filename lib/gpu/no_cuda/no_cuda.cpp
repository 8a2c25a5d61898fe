// Builds without the CUDA toolkit: every question is answered with what CMake missed.
#include "gpu/no_cuda/no_cuda.h"

#include "base/error.h"
#include "gpu/devices.h"

namespace hardmoe {
namespace {

[[noreturn]] void refuse(const std::string& asked) {
  fail_usage("{}: this build has no GPU engine ({}); use --device cpu", asked, HARDMOE_NO_CUDA);
}

}  // namespace

void fail_no_cuda(int device) { refuse(fmt::format("--device cuda:{}", device)); }

std::vector<CudaDevice> cuda_devices() { refuse("--device cuda"); }

std::vector<std::pair<std::string, std::string>> cuda_versions() {
  return {{"GPU engine", std::string("not built: ") + HARDMOE_NO_CUDA}};
}

}  // namespace hardmoe
