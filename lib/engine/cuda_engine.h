// NVIDIA GPUs as devices. CMake builds engine/cuda/ where the CUDA toolkit was found and
// engine/no_cuda/ where it was not; both define this.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace hardmoe {

/// GPU number `device`. Throws Error(usage) saying what is missing.
std::unique_ptr<Engine> make_cuda_engine(int device);

/// What a user wants to know of a GPU before choosing it.
struct CudaDevice {
  int number = 0;
  std::string name;    ///< "NVIDIA H100 80GB HBM3"
  int capability = 0;  ///< 90 for compute capability 9.0
  int multiprocessors = 0;
  int64_t memory_bytes = 0;
  int64_t free_bytes = 0;             ///< -1: the device is busy or does not answer
  std::vector<Precision> precisions;  ///< those it can train in
};

/// Versions as people write them: {"driver (CUDA)", "13.0"}, {"cuDNN", "9.19.0"}; "not found" with
/// the reason for a library that cannot be loaded.
std::vector<std::pair<std::string, std::string>> cuda_versions();

/// Every GPU here. Throws Error(usage) saying why there is none: this build has no GPU engine, no
/// driver, no device.
std::vector<CudaDevice> cuda_devices();

/// cuDNN's description of a GPU as JSON: with it, plans for that GPU are made on machines without
/// one (tests/files/devices). Throws Error(usage) as cuda_devices().
std::string describe_cuda_device(int device);

}  // namespace hardmoe
