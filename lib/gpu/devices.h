// The NVIDIA GPUs of this machine. Built everywhere; in a build without the CUDA toolkit, errors
// say what CMake did not find.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hardmoe {

/// A GPU, described for a user who chooses one.
struct CudaDevice {
  int number = 0;
  std::string name;    ///< "NVIDIA H100 80GB HBM3"
  int capability = 0;  ///< compute capability × 10: 90 for 9.0
  int multiprocessors = 0;
  int64_t memory_bytes = 0;
  int64_t free_bytes = 0;  ///< of memory_bytes; -1: the device is busy or does not answer
};

/// Returns this machine's GPUs, also those too old for the engine. Throws Error(usage) if there is
/// none, with the reason: no GPU engine in this build, no driver, no device.
std::vector<CudaDevice> cuda_devices();

/// Returns names and versions of the driver and the libraries, for people: {"driver (CUDA)",
/// "13.0"}, {"cuDNN", "9.19.0"}. For a library that cannot be loaded the version is "not found: "
/// and the reason.
std::vector<std::pair<std::string, std::string>> cuda_versions();

namespace cuda {

/// The lowest compute capability × 10 that kernels are built for: 8.0 (Ampere), the first with TF32
/// and bf16.
inline constexpr int oldest_capability = 80;

}  // namespace cuda
}  // namespace hardmoe
