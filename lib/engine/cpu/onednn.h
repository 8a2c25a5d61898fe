// The oneDNN primitives the CPU engine uses. oneDNN 2 and 3 describe primitives differently; only
// onednn.cpp knows. Activations are NHWC (N×C for vectors), weights in the layout oneDNN likes
// best.
#pragma once

#include <cstddef>
#include <cstdint>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/cpu/finish.h"
#include "engine/ops/operator.h"
#include "engine/spec.h"
#include "engine/work.h"

namespace hardmoe::cpu {

/// Returns a size rounded up to where the next thing may begin.
constexpr size_t whole_lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

/// Room for the temporaries of one piece of work at a time.
struct Scratch {
  void* data = nullptr;
  size_t bytes = 0;

  /// Returns what is left behind the first `used` bytes, a whole number of lines.
  Scratch after(size_t used) const { return {static_cast<std::byte*>(data) + used, bytes - used}; }
};

}  // namespace hardmoe::cpu

namespace hardmoe::onednn {

using Desc = dnnl::memory::desc;

dnnl::engine& engine();
dnnl::stream& stream();

/// Activations' and working weights' type at a precision.
dnnl::memory::data_type type_of(Precision precision);

/// Whether bf16 convolutions run natively on this processor, and the processor's name for people.
bool has_bf16();
/// Whether it has instructions for products of small bf16 matrices (AMX), which outrun any others.
bool has_bf16_matrices();
/// Whether its bf16 products take half the time of fp32's: on AMD's Zen4 and Zen5 they do, on Intel's
/// Xeons without AMX they take as long (tools/bench/results/README.md).
bool has_fast_bf16();
std::string describe();

/// Three primitives of one layer and the layouts they want. In inference only `forward` is made.
struct Layer {
  Desc source, target;    ///< activations
  Desc bias;              ///< float32; only of a convolution that is finished with one
  Desc weights_forward;   ///< working precision
  Desc weights_backward;  ///< working precision, for backward_data
  Desc weights_gradient;  ///< float32
  dnnl::primitive forward, backward_data, backward_weights;
  size_t scratch_bytes = 0;  ///< the most any of the three needs
};

/// The gradients that a layer is asked for; none in inference.
struct Needs {
  bool weights = false;  ///< of its weights
  bool data = false;     ///< of its input
  bool any() const { return weights || data; }
};

/// in/out: extents of one image; batch N. `name` of the layer is for errors. `finish`: of the forward
/// pass, in inference; a residual is added to what the target holds.
Layer convolution(const std::string& name, const Window& window, const Extent& in,
                  const Extent& out, int64_t batch, Precision precision, Needs needs,
                  const cpu::FinishKind& finish = {});

/// What a linear layer may have or leave out.
struct InnerProductForm {
  bool bias = true;      ///< float32
  bool working = false;  ///< outputs are in working precision, not float32
};

/// Linear layer from N rows of H×W×C to N×V; weights are V×C×H×W, V×C where H and W are 1.
Layer inner_product(const Extent& in, int64_t out, int64_t batch, Precision precision, Needs needs,
                    InnerProductForm form = {});

/// A bias-free product with a plain row-major out×in matrix; inputs and outputs in working
/// precision.
Layer matrix_product(int64_t in, int64_t out, int64_t batch, Precision precision, Needs needs);

/// Products of any number of rows N with a plain row-major O×I matrix W. The primitives are made
/// once; a call takes the number of rows.
class RowProducts {
 public:
  RowProducts(int64_t in, int64_t out, Precision precision, Needs needs);

  /// y (N×O) = x (N×I)·Wᵀ, all in working precision.
  void forward(int64_t rows, const void* x, const void* weights, void* y) const;
  /// dx (N×I) = dy (N×O)·W, all in working precision. Only if the input's gradient is needed.
  void backward_data(int64_t rows, const void* dy, const void* weights, void* dx) const;
  /// dW (O×I, float32) = dyᵀ·x. Only if the weights' gradient is needed.
  void backward_weights(int64_t rows, const void* x, const void* dy, float* gradient) const;

 private:
  void run(const dnnl::matmul& product, const Desc& a, const void* a_data, const Desc& b,
           const void* b_data, const Desc& c, void* c_data) const;
  int64_t in_, out_;
  dnnl::memory::data_type type_;
  dnnl::matmul forward_, backward_data_, backward_weights_;
};

struct MaxPool {
  Desc source, target, workspace;
  dnnl::primitive forward, backward;
  size_t scratch_bytes = 0;
};
MaxPool max_pool(const Window& window, const Extent& in, const Extent& out, int64_t batch,
                 Precision precision, bool training);

/// Copies between two layouts or types of one tensor, made once and run often.
class Reorder {
 public:
  Reorder(const Desc& from, const Desc& to);
  void run(const void* from, void* to) const;

 private:
  Desc from_, to_;
  dnnl::reorder primitive_;
};

/// PyTorch's O×I×K×K (or O×I) float32 layout of a weight.
Desc plain_weight(const Shape& shape);

dnnl::memory wrap(const Desc& desc, const void* data);

/// A primitive with its arguments: made once, run often.
Work bind(const dnnl::primitive& primitive,
          const std::vector<std::pair<int, dnnl::memory>>& arguments, cpu::Scratch scratch);

}  // namespace hardmoe::onednn
