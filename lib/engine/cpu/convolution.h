// A convolution for one batch size and precision. There are several algorithms;
// make_convolution() chooses one by fixed rules on the shape, and callers need not know which.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "engine/cpu/finish.h"
#include "engine/cpu/onednn.h"

namespace hardmoe::cpu {

class Convolution {
 public:
  virtual ~Convolution() = default;

  /// Returns the layout of the float32 weights and of their gradient.
  virtual const onednn::Desc& layout() const = 0;
  /// Returns the bytes of scratch that the most demanding pass needs.
  virtual size_t scratch_bytes() const = 0;
  /// Returns the bytes of copies of the weights in other layouts or precisions.
  virtual size_t copy_bytes() const = 0;

  /// Tells it where the weights are, and gives it room for the copies, zeros at first. Call it
  /// before the functions below; it may be called again, for other weights.
  virtual void place(const float* weights, std::byte* copies) = 0;
  /// Tells it that the weights have changed, or are others.
  virtual void refresh() = 0;

  // Each returns the work of one pass, bound to its arguments: activations N×H×W×C in the
  // convolution's precision. Backward passes exist only for the gradients in the spec's `needs`.
  // `finish` has what the spec says; its residual may be y itself.
  virtual Work forward(const void* x, void* y, Scratch scratch, const Finish& finish) const = 0;
  virtual Work backward_data(const void* dy, void* dx, Scratch scratch) const = 0;
  virtual Work backward_weights(const void* x, const void* dy, float* gradient,
                                Scratch scratch) const = 0;
};

/// What to compute.
struct ConvolutionSpec {
  std::string name;  ///< of the layer, for errors
  Window window;
  Extent in, out;  ///< of one row
  int64_t batch;   ///< rows, N
  Precision precision;
  onednn::Needs needs;
  FinishKind finish = {};  ///< of the forward pass
};

/// Returns the convolution. Throws Error naming the layer if oneDNN cannot compute it.
std::unique_ptr<Convolution> make_convolution(const ConvolutionSpec& spec);

}  // namespace hardmoe::cpu
