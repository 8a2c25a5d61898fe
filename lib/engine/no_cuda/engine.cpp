// Builds without the GPU engine: every question is answered with what CMake missed.
#include "base/error.h"
#include "engine/cuda_engine.h"

namespace hardmoe {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  fail_usage("{}: this build has no GPU engine ({}); use --device cpu", what, HARDMOE_NO_CUDA);
}

}  // namespace

std::unique_ptr<Engine> make_cuda_engine(int device) {
  refuse(fmt::format("--device cuda:{}", device));
}

std::vector<std::pair<std::string, std::string>> cuda_versions() {
  return {{"GPU engine", std::string("not built: ") + HARDMOE_NO_CUDA}};
}

std::vector<CudaDevice> cuda_devices() { refuse("--device cuda"); }

std::string describe_cuda_device(int device) { refuse(fmt::format("--device cuda:{}", device)); }

}  // namespace hardmoe
