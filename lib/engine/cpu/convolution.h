// A convolution layer made ready for one batch size and precision. There are several ways to
// compute one; make_convolution() picks the fastest for the layer's shape, and the program need not
// know which.
#pragma once

#include <functional>
#include <memory>

#include "engine/cpu/onednn.h"

namespace hardmoe::cpu {

class Convolution {
 public:
  virtual ~Convolution() = default;

  /// Layout in which the float32 weights are held; their gradient has the same.
  virtual const onednn::Desc& layout() const = 0;
  /// Bytes that any of the passes may need for temporaries.
  virtual size_t scratch_bytes() const = 0;
  /// Bytes of weights kept in other forms.
  virtual size_t copy_bytes() const = 0;

  /// Where the weights are. Once, before everything below.
  virtual void place(const float* weights) = 0;
  /// Takes note of new weights.
  virtual void refresh() = 0;

  // The passes, bound to their arguments: activations N×H×W×C of the layer's precision. Only those
  // that were asked for are there.
  virtual Work forward(const void* x, void* y, Scratch scratch) const = 0;
  virtual Work backward_data(const void* dy, void* dx, Scratch scratch) const = 0;
  virtual Work backward_weights(const void* x, const void* dy, float* gradient,
                                Scratch scratch) const = 0;
};

/// What is known of a layer. in/out: extents of one row; batch: rows.
struct ConvolutionSpec {
  std::string name;  ///< of the layer, for errors
  Window window;
  Extent in, out;
  int64_t batch;
  Precision precision;
  onednn::Needs needs;
};

/// Throws Error if this machine has no way to compute it.
std::unique_ptr<Convolution> make_convolution(const ConvolutionSpec& spec);

}  // namespace hardmoe::cpu
