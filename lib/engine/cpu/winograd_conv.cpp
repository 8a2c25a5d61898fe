#include "engine/cpu/winograd_conv.h"

#include <algorithm>

#include "engine/cpu/winograd.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t lanes = 16;

class WinogradConvolution final : public Convolution {
 public:
  explicit WinogradConvolution(const ConvolutionSpec& spec)
      : layer_{spec.batch, spec.in.height, spec.in.width, spec.in.channels, spec.out.channels},
        layout_({spec.out.channels, spec.in.channels, 3, 3}, dnnl::memory::data_type::f32,
                dnnl::memory::format_tag::hwio),
        transposes_(spec.needs.data),
        scratch_floats_(convolution_workspace(layer_)) {
    if (!spec.needs.any()) return;
    scratch_floats_ = std::max(scratch_floats_, weight_gradient_workspace(layer_));
    if (!transposes_) return;
    scratch_floats_ = std::max(scratch_floats_, convolution_workspace(layer_.transposed()));
  }

  const onednn::Desc& layout() const override { return layout_; }
  size_t scratch_bytes() const override {
    return static_cast<size_t>(scratch_floats_) * sizeof(float);
  }
  size_t copy_bytes() const override {
    return static_cast<size_t>(layer_.weight_floats() * (transposes_ ? 2 : 1)) * sizeof(float);
  }
  void place(const float* weights, std::byte* copies) override {
    weights_ = weights;
    forward_ = reinterpret_cast<float*>(copies);
    backward_ = forward_ + layer_.weight_floats();
  }
  void refresh() override {
    transform_weights(layer_, weights_, forward_);
    if (transposes_) transform_weights_transposed(layer_, weights_, backward_);
  }

  Work forward(const void* x, void* y, Scratch scratch) const override {
    return convolve(layer_, forward_, x, y, scratch);
  }
  Work backward_data(const void* dy, void* dx, Scratch scratch) const override {
    return convolve(layer_.transposed(), backward_, dy, dx, scratch);
  }
  Work backward_weights(const void* x, const void* dy, float* gradient,
                        Scratch scratch) const override {
    return [=, this, input = static_cast<const float*>(x), slope = static_cast<const float*>(dy),
            room = static_cast<float*>(scratch.data)] {
      winograd_weight_gradient(layer_, input, slope, gradient, room);
    };
  }

 private:
  static Work convolve(const Winograd& layer, const float* weights, const void* from, void* to,
                       Scratch scratch) {
    return [=, x = static_cast<const float*>(from), y = static_cast<float*>(to),
            room = static_cast<float*>(scratch.data)] {
      winograd_convolution(layer, x, weights, y, room);
    };
  }

  Winograd layer_;
  onednn::Desc layout_;
  bool transposes_;  ///< also transforms them for the gradient of the input
  int64_t scratch_floats_;
  const float* weights_ = nullptr;
  float *forward_ = nullptr, *backward_ = nullptr;  ///< transformed weights
};

}  // namespace

bool suits_winograd_convolution(const ConvolutionSpec& spec) {
  return spec.precision == Precision::fp32 && spec.window.kernel == 3 && spec.window.stride == 1 &&
         spec.window.padding == 1 && spec.in.channels % lanes == 0 &&
         spec.out.channels % lanes == 0 && spec.in.height > 3 && spec.in.width > 3;
}

std::unique_ptr<Convolution> make_winograd_convolution(const ConvolutionSpec& spec) {
  return std::make_unique<WinogradConvolution>(spec);
}

}  // namespace hardmoe::cpu
