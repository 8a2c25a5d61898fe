#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <algorithm>

#include "base/error.h"
#include "cluster/cuda/cub.h"
#include "cluster/cuda/device.h"

namespace hardmoe::cluster_cuda {
namespace {

[[noreturn]] void cuda_failed(cudaError_t status, const char* what) {
  cudaGetLastError();  // so that the next call is not told of it again
  fail("the GPU failed {}: {} ({}); nvidia-smi shows its state, --device cpu does without it", what,
       cudaGetErrorString(status), cudaGetErrorName(status));
}

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) cuda_failed(status, what);
}

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    fail("cuBLAS failed {} (status {})", what, static_cast<int>(status));
  }
}

#define HARDMOE_TEXT(x) #x
#define HARDMOE_TEXT_OF(x) HARDMOE_TEXT(x)
constexpr const char* cublas_name = "libcublas.so." HARDMOE_TEXT_OF(CUBLAS_VER_MAJOR);
#undef HARDMOE_TEXT_OF
#undef HARDMOE_TEXT

/// cuBLAS is opened when a GPU is first used, so that commands start on machines without it: by the
/// loader's own search path, then from where it was when this was built.
struct Cublas {
  decltype(&cublasCreate_v2) create;
  decltype(&cublasDestroy_v2) destroy;
  decltype(&cublasSetStream_v2) set_stream;
  decltype(&cublasSetMathMode) set_math_mode;
  decltype(&cublasGetVersion_v2) get_version;
  decltype(&cublasSgemm_v2_64) sgemm;
  decltype(&cublasSgemmStridedBatched_64) sgemm_batched;

  Cublas() {
    void* library = dlopen(cublas_name, RTLD_NOW | RTLD_LOCAL);
    const std::string reason = library == nullptr ? dlerror() : "";
    if (library == nullptr) library = dlopen(HARDMOE_LIBCUBLAS, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      fail_usage(
          "--device cuda: cuBLAS cannot be loaded ({}); install the CUDA toolkit's libraries, or "
          "name their folder in LD_LIBRARY_PATH",
          reason);
    }
    const auto find = [&](auto& function, const char* name) {
      function =
          reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      if (function == nullptr) {
        fail_usage("--device cuda: {} has no {}; CUDA 12 or newer is needed", cublas_name, name);
      }
    };
    find(create, "cublasCreate_v2");
    find(destroy, "cublasDestroy_v2");
    find(set_stream, "cublasSetStream_v2");
    find(set_math_mode, "cublasSetMathMode");
    find(get_version, "cublasGetVersion_v2");
    find(sgemm, "cublasSgemm_v2_64");
    find(sgemm_batched, "cublasSgemmStridedBatched_64");
  }
};

const Cublas& cublas() {
  static const Cublas library;
  return library;
}

/// Makes GPU `number` the thread's current one.
void choose(int number) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver) {
    fail_usage(
        "--device cuda:{}: no NVIDIA driver is loaded here, or one too old for CUDA {}.{}; "
        "see nvidia-smi, or use --device cpu",
        number, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
  }
  if (status != cudaSuccess || count == 0) {
    fail_usage("--device cuda:{}: no NVIDIA GPU here ({}); use --device cpu", number,
               cudaGetErrorString(status == cudaSuccess ? cudaErrorNoDevice : status));
  }
  if (number >= count) {
    fail_usage("--device cuda:{}: there are {} GPUs here, numbered from 0; moe-device lists them",
               number, count);
  }
  check(cudaSetDevice(number), "to start");
}

size_t bytes_of(int64_t count) { return static_cast<size_t>(count); }

}  // namespace

void launch_failed(const char* name, const char* reason) {
  cudaGetLastError();
  fail("the GPU could not start a kernel ({}): {}", name, reason);
}

struct Device::Handles {
  cudaStream_t stream = nullptr;
  cublasHandle_t blas = nullptr;
  cudaMemPool_t pool = nullptr;  ///< gives memory and keeps what is given back; null: cudaMalloc
  std::string name;

  ~Handles() {
    if (stream != nullptr) cudaStreamSynchronize(stream);
    if (blas != nullptr) cublas().destroy(blas);
    if (stream != nullptr) cudaStreamDestroy(stream);
  }
};

Device::Device(int number) : handles_(std::make_unique<Handles>()) {
  choose(number);
  const Cublas& library = cublas();
  check(cudaStreamCreateWithFlags(&handles_->stream, cudaStreamNonBlocking), "to start");
  check(library.create(&handles_->blas), "to start");
  check(library.set_stream(handles_->blas, handles_->stream), "to start");
  // float32 as it is: no TF32, so that parts are the CPU's within rounding.
  check(library.set_math_mode(handles_->blas, CUBLAS_DEFAULT_MATH), "to start");
  int pools = 0;
  check(cudaDeviceGetAttribute(&pools, cudaDevAttrMemoryPoolsSupported, number), "to start");
  if (pools != 0) {
    uint64_t keep = UINT64_MAX;
    cudaMemPool_t& pool = handles_->pool;
    check(cudaDeviceGetDefaultMemPool(&pool, number), "to start");
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &keep), "to start");
  }
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, number), "to start");
  int version = 0;
  check(library.get_version(handles_->blas, &version), "to start");
  handles_->name =
      fmt::format("{}, cuBLAS {}.{}", properties.name, version / 10000, version % 10000 / 100);
}

Device::~Device() = default;

std::string Device::describe() const { return handles_->name; }

Stream Device::stream() const { return handles_->stream; }

int64_t Device::total_bytes() const {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "to say how much memory it has");
  return static_cast<int64_t>(total);
}

int64_t Device::free_bytes() const {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "to say how much memory it has");
  uint64_t reserved = 0, used = 0;  // by the pool, which gives its own again
  if (handles_->pool != nullptr) {
    check(cudaMemPoolGetAttribute(handles_->pool, cudaMemPoolAttrReservedMemCurrent, &reserved),
          "to say how much memory it has");
    check(cudaMemPoolGetAttribute(handles_->pool, cudaMemPoolAttrUsedMemCurrent, &used),
          "to say how much memory it has");
  }
  return static_cast<int64_t>(free + reserved - used);
}

void* Device::allocate(int64_t bytes) {
  void* memory = nullptr;
  const size_t size = bytes_of(std::max<int64_t>(bytes, 1));
  const cudaError_t status = handles_->pool != nullptr
                                 ? cudaMallocAsync(&memory, size, handles_->stream)
                                 : cudaMalloc(&memory, size);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    fail(
        "the GPU has no {:.1f} GiB of memory left (free: {:.1f}); end what else uses it, or use "
        "--device cpu",
        static_cast<double>(size) / (1 << 30), static_cast<double>(free_bytes()) / (1 << 30));
  }
  check(status, "to give memory");
  return memory;
}

void Device::release(void* memory) noexcept {
  if (memory == nullptr) return;
  handles_->pool != nullptr ? cudaFreeAsync(memory, handles_->stream) : cudaFree(memory);
}

void Device::upload(void* to, const void* from, int64_t bytes) {
  // From ordinary (pageable) memory the call returns once `from` has been read.
  check(cudaMemcpyAsync(to, from, bytes_of(bytes), cudaMemcpyHostToDevice, handles_->stream),
        "to take data");
}

void Device::download(void* to, const void* from, int64_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes_of(bytes), cudaMemcpyDeviceToHost, handles_->stream),
        "to give results");
  check(cudaStreamSynchronize(handles_->stream), "while clustering");
}

void Device::copy(void* to, const void* from, int64_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes_of(bytes), cudaMemcpyDeviceToDevice, handles_->stream),
        "to copy");
}

void Device::zero(void* to, int64_t bytes) {
  check(cudaMemsetAsync(to, 0, bytes_of(bytes), handles_->stream), "to clear memory");
}

// cuBLAS reads matrices by columns: a row-major m×n matrix is its n×m one.
void Device::multiply(const float* a, const float* b, int64_t m, int64_t n, int64_t k, float* out) {
  const float one = 1, zero = 0;
  check(cublas().sgemm(handles_->blas, CUBLAS_OP_T, CUBLAS_OP_N, n, m, k, &one, b, k, a, k, &zero,
                       out, n),
        "to multiply");
}

void Device::squares(const float* a, int64_t count, int64_t rows, int64_t depth, float* out) {
  const float one = 1, zero = 0;
  check(cublas().sgemm_batched(handles_->blas, CUBLAS_OP_N, CUBLAS_OP_T, depth, depth, rows, &one,
                               a, depth, rows * depth, a, depth, rows * depth, &zero, out, depth,
                               depth * depth, count),
        "to multiply");
}

void Device::sort_labels(const uint16_t* labels, int64_t count, int64_t labels_below,
                         uint16_t* sorted, int32_t* order) {
  int bits = 1;
  while ((int64_t{1} << bits) < labels_below) ++bits;
  const int64_t scratch = sort_scratch(count, bits);
  Buffer<char> memory(*this);
  check(static_cast<cudaError_t>(sort_pairs(memory.reserve(scratch), scratch, labels, count, bits,
                                            sorted, order, handles_->stream)),
        "to sort");
}

void Device::exclusive_sum(int64_t* values, int64_t count) {
  const int64_t scratch = sum_scratch(count);
  Buffer<char> memory(*this);
  check(static_cast<cudaError_t>(hardmoe::cluster_cuda::exclusive_sum(
            memory.reserve(scratch), scratch, values, count, handles_->stream)),
        "to add up");
}

}  // namespace hardmoe::cluster_cuda
