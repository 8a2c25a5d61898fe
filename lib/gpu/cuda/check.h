// Turning a failed CUDA call into a sentence for people. Vendor headers: only for the .cpp files
// that call the runtime.
#pragma once

#include <cuda_runtime_api.h>

#include "base/error.h"

namespace hardmoe::cuda {

/// What a user can do about it.
inline const char* advice_for(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "its memory is full: end what else uses it, or use a smaller batch";
    case cudaErrorDevicesUnavailable:
      return "another process holds it alone; wait for that, or choose another GPU with cuda:N";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
      return "this build has no code for it; build with HARDMOE_CUDA_ARCHITECTURES for its kind";
    case cudaErrorInsufficientDriver:
    case cudaErrorSystemDriverMismatch:
      return "its driver is older than this build needs; update the driver";
    case cudaErrorECCUncorrectable:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorUnknown:
      return "the GPU or its driver is lost to this process; nvidia-smi and dmesg tell more. "
             "Training goes on from its last checkpoint when the same command is run again";
    default:
      return "nvidia-smi shows its state";
  }
}

/// Throws Error: "the GPU failed `what`: …", with what to do.
inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that the next call is not told of it again
  fail("the GPU failed {}: {} ({}); {}", what, cudaGetErrorString(status), cudaGetErrorName(status),
       advice_for(status));
}

}  // namespace hardmoe::cuda
