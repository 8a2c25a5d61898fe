#include "cluster/cuda/device.h"

#include <cublas_v2.h>

#include "cluster/cuda/cub.h"
#include "gpu/cuda/check.h"
#include "gpu/libraries.h"

namespace hardmoe::cluster_cuda {
namespace {

using cuda::check;

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    fail("cuBLAS failed {} (status {})", what, static_cast<int>(status));
  }
}

struct Cublas {
  decltype(&cublasCreate_v2) create;
  decltype(&cublasDestroy_v2) destroy;
  decltype(&cublasSetStream_v2) set_stream;
  decltype(&cublasSetMathMode) set_math_mode;
  decltype(&cublasGetVersion_v2) get_version;
  decltype(&cublasSgemm_v2_64) sgemm;
  decltype(&cublasSgemmStridedBatched_64) sgemm_batched;

  Cublas() {
    const auto find = [](auto& function, const char* name) {
      cuda::find_function(cuda::Library::cublas, name, function);
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

}  // namespace

struct Device::Blas {
  cublasHandle_t handle = nullptr;
  Blas() { check(cublas().create(&handle), "to start"); }
  ~Blas() { cublas().destroy(handle); }  // which waits for what it has enqueued
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;
};

Device::Device(int number) : Gpu(number), blas_(std::make_unique<Blas>()), scratch_(*this) {
  check(cublas().set_stream(blas_->handle, compute()), "to start");
  // float32 as it is: no TF32, so that parts are the CPU's within rounding.
  check(cublas().set_math_mode(blas_->handle, CUBLAS_DEFAULT_MATH), "to start");
}

Device::~Device() = default;

std::string Device::describe() const {
  int version = 0;
  check(cublas().get_version(blas_->handle, &version), "to say its version");
  return fmt::format("{}, cuBLAS {}.{}", name(), version / 10000, version % 10000 / 100);
}

// cuBLAS reads matrices by columns: a row-major m×n matrix is its n×m one.
void Device::multiply(const float* a, const float* b, int64_t m, int64_t n, int64_t k, float* out) {
  const float one = 1, zero = 0;
  check(cublas().sgemm(blas_->handle, CUBLAS_OP_T, CUBLAS_OP_N, n, m, k, &one, b, k, a, k, &zero,
                       out, n),
        "to multiply");
}

void Device::squares(const float* a, int64_t count, int64_t rows, int64_t depth, float* out) {
  const float one = 1, zero = 0;
  check(cublas().sgemm_batched(blas_->handle, CUBLAS_OP_N, CUBLAS_OP_T, depth, depth, rows, &one, a,
                               depth, rows * depth, a, depth, rows * depth, &zero, out, depth,
                               depth * depth, count),
        "to multiply");
}

void Device::sort_labels(const uint16_t* labels, int64_t count, int64_t labels_below,
                         uint16_t* sorted, int32_t* order) {
  int bits = 1;
  while ((int64_t{1} << bits) < labels_below) ++bits;
  const int64_t scratch = sort_scratch(count, bits);
  check(static_cast<cudaError_t>(sort_pairs(scratch_.reserve(scratch), scratch, labels, count, bits,
                                            sorted, order, compute())),
        "to sort");
}

void Device::exclusive_sum(int64_t* values, int64_t count) {
  const int64_t scratch = sum_scratch(count);
  check(static_cast<cudaError_t>(hardmoe::cluster_cuda::exclusive_sum(
            scratch_.reserve(scratch), scratch, values, count, compute())),
        "to add up");
}

}  // namespace hardmoe::cluster_cuda
