// A GPU with the library calls that clustering needs beside its own kernels (cuBLAS, CUB). They are
// in device.cpp, so that tests put plain loops in their place and run the rest of the folder
// without a GPU. Everything is enqueued on the compute queue, in order; only download() waits.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cluster/cuda/buffer.h"

namespace hardmoe::cluster_cuda {

/// For the thread that made it.
class Device : public cuda::Gpu {
 public:
  /// Throws Error(usage) if there is no such GPU or no cuBLAS, saying what is missing.
  explicit Device(int number);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// "NVIDIA H100 80GB HBM3, cuBLAS 13.0".
  std::string describe() const;

  /// out (m×n) = a (m×k) · bᵀ, b n×k; all row-major without gaps, float32 throughout.
  void multiply(const float* a, const float* b, int64_t m, int64_t n, int64_t k, float* out);
  /// out[i] (depth×depth) = aᵢᵀ · aᵢ for `count` matrices a (rows×depth), one after another.
  void squares(const float* a, int64_t count, int64_t rows, int64_t depth, float* out);
  /// Sorts `count` labels below `labels_below`; order: where each stood, equal ones in their order.
  void sort_labels(const uint16_t* labels, int64_t count, int64_t labels_below, uint16_t* sorted,
                   int32_t* order);
  /// values[i] = Σ of those before it.
  void exclusive_sum(int64_t* values, int64_t count);

 private:
  struct Blas;
  std::unique_ptr<Blas> blas_;
  Buffer<char> scratch_;  ///< of CUB
};

}  // namespace hardmoe::cluster_cuda
