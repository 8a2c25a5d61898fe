// The NVIDIA GPUs of this machine. Built everywhere: where the CUDA toolkit was not found, the
// answer is what CMake missed.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hardmoe {

/// What a user wants to know of a GPU before choosing it.
struct CudaDevice {
  int number = 0;
  std::string name;    ///< "NVIDIA H100 80GB HBM3"
  int capability = 0;  ///< 90 for compute capability 9.0
  int multiprocessors = 0;
  int64_t memory_bytes = 0;
  int64_t free_bytes = 0;  ///< -1: the device is busy or does not answer
};

/// Every GPU here. Throws Error(usage) saying why there is none: this build has no GPU engine, no
/// driver, no device.
std::vector<CudaDevice> cuda_devices();

/// Versions as people write them: {"driver (CUDA)", "13.0"}, {"cuDNN", "9.19.0"}; "not found" with
/// the reason for a library that cannot be loaded.
std::vector<std::pair<std::string, std::string>> cuda_versions();

namespace cuda {

/// The least compute capability (80 for 8.0, Ampere) that kernels are built for: the first with
/// TF32 and bf16.
inline constexpr int oldest_capability = 80;

}  // namespace cuda
}  // namespace hardmoe
