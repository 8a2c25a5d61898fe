// The linear layers of a step: each product made ready once for its shape. cublaslt.cpp makes them
// with cuBLASLt; tests put plain loops in its place.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/cuda/kernels.h"
#include "gpu/gpu.h"

namespace hardmoe::cuda {

enum class LinearPass {
  forward,          ///< x, weights, perhaps bias → y
  data_gradient,    ///< weights, y (its gradient) → x (its gradient)
  weight_gradient,  ///< x, y (its gradient) → weights (their gradient, float32)
};

/// x: rows×in, weights: out×in, y: rows×out, all row-major without gaps. Everything is of
/// `precision` but what is said to be float32; sums are float32.
struct LinearRequest {
  LinearPass pass = LinearPass::forward;
  int64_t rows = 0, in = 0, out = 0;
  Precision precision = Precision::fp32;
  bool bias = true;      ///< forward only
  bool working = false;  ///< forward only: y and the bias are of `precision`, not float32
};

/// Device memory, 16-byte aligned. The array that a pass writes is written whole.
struct LinearArrays {
  void* x = nullptr;
  void* weights = nullptr;
  const void* bias = nullptr;  ///< forward only, with a bias
  void* y = nullptr;
  void* workspace = nullptr;
};

class LinearPlan {
 public:
  virtual ~LinearPlan() = default;
  virtual int64_t workspace_bytes() const = 0;
  /// As ConvPlan::run().
  virtual void run(const LinearArrays& arrays) const = 0;
};

class LinearPlanner {
 public:
  virtual ~LinearPlanner() = default;
  /// "cuBLASLt 13.1".
  virtual std::string describe() const = 0;
  /// Throws Error if there is no way to compute it.
  virtual std::shared_ptr<const LinearPlan> plan(const LinearRequest& request) = 0;
};

std::unique_ptr<LinearPlanner> make_linear_planner(Gpu& gpu);

}  // namespace hardmoe::cuda
