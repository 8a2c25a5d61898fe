#include "engine/cpu/dense_conv.h"

#include <algorithm>

#include "base/threads.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/taps.h"

namespace hardmoe::cpu {
namespace {

class DenseConvolution final : public Convolution {
 public:
  explicit DenseConvolution(const ConvolutionSpec& spec)
      : in_(spec.in.channels),
        out_(spec.out.channels),
        window_(int64_t{spec.window.kernel} * spec.window.kernel),
        rows_(spec.out.elements()),
        columns_(spec.in.elements()),
        taps_(joined_positions(spec.window, spec.in, spec.out)),
        product_(onednn::matrix_product(columns_, rows_, spec.batch, spec.precision, spec.needs)),
        // Tap by tap, each O×I.
        layout_({out_, in_, spec.window.kernel, spec.window.kernel}, dnnl::memory::data_type::f32,
                dnnl::memory::dims{in_, 1, spec.window.kernel * out_ * in_, out_ * in_}) {}

  const onednn::Desc& layout() const override { return layout_; }
  size_t scratch_bytes() const override { return product_.scratch_bytes + gradient_bytes(); }
  size_t copy_bytes() const override { return product_.weights_forward.get_size(); }
  void place(const float* weights, std::byte* copies) override {
    weights_ = weights;
    matrix_ = reinterpret_cast<BFloat16*>(copies);
  }

  /// Fills the matrix, rows (output position, o) × columns (input position, i). Blocks without a
  /// tap stay zero.
  void refresh() override {
    parallel_for(out_, 4, [&](int64_t begin, int64_t end) {
      for (const Tap& tap : taps_) {
        for (int64_t o = begin; o < end; ++o) {
          to_bf16(weights_ + (tap.tap * out_ + o) * in_, in_, matrix_ + offset_of(tap, o));
        }
      }
    });
  }

  Work forward(const void* x, void* y, Scratch scratch, const Finish&) const override {
    return onednn::bind(product_.forward,
                        {{DNNL_ARG_SRC, onednn::wrap(product_.source, x)},
                         {DNNL_ARG_WEIGHTS, onednn::wrap(product_.weights_forward, matrix_)},
                         {DNNL_ARG_DST, onednn::wrap(product_.target, y)}},
                        scratch);
  }
  Work backward_data(const void* dy, void* dx, Scratch scratch) const override {
    return onednn::bind(product_.backward_data,
                        {{DNNL_ARG_DIFF_DST, onednn::wrap(product_.target, dy)},
                         {DNNL_ARG_WEIGHTS, onednn::wrap(product_.weights_backward, matrix_)},
                         {DNNL_ARG_DIFF_SRC, onednn::wrap(product_.source, dx)}},
                        scratch);
  }
  Work backward_weights(const void* x, const void* dy, float* gradient,
                        Scratch scratch) const override {
    auto* matrix = static_cast<float*>(scratch.data);
    const Scratch rest = scratch.after(gradient_bytes());
    const Work product =
        onednn::bind(product_.backward_weights,
                     {{DNNL_ARG_SRC, onednn::wrap(product_.source, x)},
                      {DNNL_ARG_DIFF_DST, onednn::wrap(product_.target, dy)},
                      {DNNL_ARG_DIFF_WEIGHTS, onednn::wrap(product_.weights_gradient, matrix)}},
                     rest);
    return [=, this] {
      product();
      fold(matrix, gradient);
    };
  }

 private:
  size_t gradient_bytes() const {
    return whole_lines(static_cast<size_t>(rows_ * columns_) * sizeof(float));
  }
  int64_t offset_of(const Tap& tap, int64_t o) const {
    return (tap.output * out_ + o) * columns_ + tap.input * in_;
  }
  /// Adds up the matrix's gradient over all positions of each tap; one that joins nothing gets 0.
  void fold(const float* matrix, float* gradient) const {
    parallel_for(out_, 4, [&](int64_t begin, int64_t end) {
      for (int64_t tap = 0; tap < window_; ++tap) {
        std::fill(gradient + (tap * out_ + begin) * in_, gradient + (tap * out_ + end) * in_, 0.0F);
      }
      for (const Tap& tap : taps_) {
        for (int64_t o = begin; o < end; ++o) {
          add_to(gradient + (tap.tap * out_ + o) * in_, matrix + offset_of(tap, o), in_);
        }
      }
    });
  }

  int64_t in_, out_, window_, rows_, columns_;
  std::vector<Tap> taps_;
  onednn::Layer product_;
  onednn::Desc layout_;
  const float* weights_ = nullptr;
  BFloat16* matrix_ = nullptr;
};

}  // namespace

bool suits_dense_convolution(const ConvolutionSpec& spec) {
  return spec.precision == Precision::bf16 &&
         spec.in.height * spec.in.width < int64_t{spec.window.kernel} * spec.window.kernel;
}

std::unique_ptr<Convolution> make_dense_convolution(const ConvolutionSpec& spec) {
  return std::make_unique<DenseConvolution>(spec);
}

}  // namespace hardmoe::cpu
