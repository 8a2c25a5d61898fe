#include "gpu/devices.h"

#include "gpu/cuda/check.h"
#include "gpu/cuda/devices.h"
#include "gpu/libraries.h"

namespace hardmoe {
namespace cuda {
namespace {

std::string cuda_version(int number) {
  return fmt::format("{}.{}", number / 1000, number % 1000 / 10);
}

/// How many GPUs are here. Throws Error(usage) that begins with `asked` if there are none.
int device_count(const std::string& asked) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) cudaGetLastError();
  int driver = 0;
  cudaDriverGetVersion(&driver);
  if (driver == 0) {
    fail_usage("{}: no NVIDIA driver is loaded here; see nvidia-smi, or use --device cpu", asked);
  }
  if (status == cudaErrorInsufficientDriver || status == cudaErrorSystemDriverMismatch) {
    fail_usage(
        "{}: the NVIDIA driver serves CUDA {}, this build needs CUDA {}; update the driver, or use "
        "--device cpu",
        asked, cuda_version(driver), cuda_version(CUDART_VERSION));
  }
  if (status != cudaSuccess || count == 0) {
    fail_usage("{}: no NVIDIA GPU here ({}); see nvidia-smi, or use --device cpu", asked,
               cudaGetErrorString(status == cudaSuccess ? cudaErrorNoDevice : status));
  }
  return count;
}

std::string version_of(Library library, const char* function, std::string (*as_text)(size_t)) {
  const std::string reason = reason_missing(library);
  if (!reason.empty()) return "not found: " + reason;
  return as_text(reinterpret_cast<size_t (*)()>(function_of(library, function))());
}

CudaDevice device_of(int number) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, number), "to describe itself");
  CudaDevice device;
  device.number = number;
  device.name = properties.name;
  device.capability = properties.major * 10 + properties.minor;
  device.multiprocessors = properties.multiProcessorCount;
  device.memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
  device.free_bytes = -1;
  size_t free = 0, total = 0;
  if (cudaSetDevice(number) == cudaSuccess && cudaMemGetInfo(&free, &total) == cudaSuccess) {
    device.free_bytes = static_cast<int64_t>(free);
  } else {
    cudaGetLastError();
  }
  return device;
}

}  // namespace

void choose_device(int number) {
  const std::string asked = fmt::format("--device cuda:{}", number);
  const int count = device_count(asked);
  if (number < 0 || number >= count) {
    fail_usage("{}: there {} here, numbered from 0; moe-device lists them", asked,
               count == 1 ? "is 1 GPU" : fmt::format("are {} GPUs", count));
  }
  check(cudaSetDevice(number), "to start");
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, number), "to start");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, number), "to start");
  if (10 * major + minor < oldest_capability) {
    fail_usage(
        "{}: its compute capability is {}.{}, the GPU engine needs 8.0 (Ampere) or newer; use "
        "--device cpu",
        asked, major, minor);
  }
}

}  // namespace cuda

std::vector<std::pair<std::string, std::string>> cuda_versions() {
  using cuda::Library;
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess) cudaGetLastError();
  return {
      {"driver (CUDA)", driver == 0 ? "not found" : cuda::cuda_version(driver)},
      {"CUDA runtime", cuda::cuda_version(CUDART_VERSION)},
      {"cuDNN", cuda::version_of(Library::cudnn, "cudnnGetVersion",
                                 [](size_t v) {
                                   return fmt::format("{}.{}.{}", v / 10000, v % 10000 / 100,
                                                      v % 100);
                                 })},
      {"cuBLASLt", cuda::version_of(Library::cublaslt, "cublasLtGetVersion",
                                    [](size_t v) {
                                      return fmt::format("{}.{}.{}", v / 10000, v % 10000 / 100,
                                                         v % 100);
                                    })},
  };
}

std::vector<CudaDevice> cuda_devices() {
  std::vector<CudaDevice> devices;
  for (int i = 0, count = cuda::device_count("--device cuda"); i < count; ++i) {
    devices.push_back(cuda::device_of(i));
  }
  return devices;
}

}  // namespace hardmoe
