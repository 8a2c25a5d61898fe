// The convolutions of a step: each made ready once for its shape, then run with arrays in their
// place. cudnn.cpp makes them with cuDNN; tests put plain loops in its place.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/cuda/kernels.h"
#include "gpu/gpu.h"

namespace hardmoe::cuda {

enum class ConvPass {
  forward,          ///< x, weights → y
  forward_sums,     ///< the same, and Σy, Σy² of each channel (of y before it was rounded)
  data_gradient,    ///< weights, y (its gradient) → x (its gradient)
  weight_gradient,  ///< x, y (its gradient) → weights (their gradient, float32)
};

/// x: batch×height×width×channels (NHWC), weights: out_channels×kernel×kernel×channels,
/// y: batch×out_height×out_width×out_channels.
struct ConvShape {
  int64_t batch = 0;
  int64_t height = 0, width = 0, channels = 0;
  int64_t out_height = 0, out_width = 0, out_channels = 0;
  int kernel = 1, stride = 1, padding = 0;

  int64_t x_elements() const { return batch * height * width * channels; }
  int64_t y_elements() const { return batch * out_height * out_width * out_channels; }
  int64_t weight_elements() const { return out_channels * kernel * kernel * channels; }
};

struct ConvRequest {
  ConvPass pass = ConvPass::forward;
  ConvShape shape;
  Precision precision = Precision::fp32;  ///< of x and y, and of weights that are read
  bool deterministic = false;
};

/// Device memory, 16-byte aligned. Arrays that a pass writes are written whole: what was in them
/// does not matter.
struct ConvArrays {
  void* x = nullptr;
  void* weights = nullptr;
  void* y = nullptr;
  float* sum = nullptr;      ///< forward_sums only: out_channels each
  float* squares = nullptr;  ///< forward_sums only
  void* workspace = nullptr;
};

class ConvPlan {
 public:
  virtual ~ConvPlan() = default;
  virtual int64_t workspace_bytes() const = 0;
  /// Seconds it took when it was chosen; 0 where it was not measured.
  virtual double seconds() const = 0;
  /// Enqueues on the compute queue of the GPU it was made for. Can be recorded in a graph, which
  /// must not outlive the plan.
  virtual void run(const ConvArrays& arrays) const = 0;
};

/// Makes plans for one GPU, which must outlive it; plans may outlive it.
class ConvPlanner {
 public:
  virtual ~ConvPlanner() = default;
  /// "cuDNN 9.19.0".
  virtual std::string describe() const = 0;
  /// The fastest of a few; the first that suits where `deterministic`. The same request gets the
  /// same plan. Null if there is none.
  virtual std::shared_ptr<const ConvPlan> plan(const ConvRequest& request) = 0;
};

std::unique_ptr<ConvPlanner> make_conv_planner(Gpu& gpu);

/// Names of the plans that cuDNN builds for `request` on the GPU that `description` tells of (as
/// describe_cuda_device() wrote it), best first, `most` at most; no GPU is needed. Empty: none.
/// Each was kept as text and taken again. Throws Error(usage) without cuDNN or for a description it
/// does not take.
std::vector<std::string> conv_plans_without_gpu(const std::string& description,
                                                const ConvRequest& request, int most);

}  // namespace hardmoe::cuda
