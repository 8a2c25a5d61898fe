#include "engine/cpu/winograd_conv.h"

#include <algorithm>

#include "engine/cpu/winograd.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t lanes = 16;

Winograd layer_with(const ConvolutionSpec& spec, Minimal kind) {
  return {.batch = spec.batch,
          .in_height = spec.in.height,
          .in_width = spec.in.width,
          .height = spec.out.height,
          .width = spec.out.width,
          .in_channels = spec.in.channels,
          .out_channels = spec.out.channels,
          .kind = kind,
          .precision = spec.precision};
}

/// Whether direct products in bf16 take less time than fewer ones in float32: with few channels the
/// transforms weigh more.
bool outrun_by_bf16(const ConvolutionSpec& spec) {
  constexpr int64_t few_channels = 64;
  const bool narrow = std::min(spec.in.channels, spec.out.channels) < few_channels;
  return onednn::has_bf16_matrices() || (narrow && onednn::has_fast_bf16());
}

/// Whether it pays to take `saved` products an image less, each pair of channels, by 36 transformed
/// weights for nine. In training, where each step writes them anew, a batch must be large enough. In
/// inference they must not outgrow the caches, or one image takes longer; the batch has no say, so that
/// an image's features are the same in any.
bool pays(const ConvolutionSpec& spec, int64_t saved) {
  if (spec.needs.any()) return spec.batch * saved >= 1024;
  return spec.in.channels * spec.out.channels < 256 * 512;
}

/// Returns the layer with the filter that suits it. Of stride 1 that is the one with the larger tiles
/// where they take clearly fewer products, tiles over the edge counted.
Winograd layer_of(const ConvolutionSpec& spec) {
  if (spec.window.stride == 2) return layer_with(spec, Minimal::four_strided);
  const Winograd two = layer_with(spec, Minimal::two), four = layer_with(spec, Minimal::four);
  return 8 * four.products() <= 7 * two.products() && pays(spec, two.products() - four.products())
             ? four
             : two;
}

class WinogradConvolution final : public Convolution {
 public:
  explicit WinogradConvolution(const ConvolutionSpec& spec)
      : layer_(layer_of(spec)),
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

  Work forward(const void* x, void* y, Scratch scratch, const Finish& finish) const override {
    return convolve(layer_, forward_, x, finish, y, scratch);
  }
  Work backward_data(const void* dy, void* dx, Scratch scratch) const override {
    return convolve(layer_.transposed(), backward_, dy, {}, dx, scratch);
  }
  Work backward_weights(const void* x, const void* dy, float* gradient,
                        Scratch scratch) const override {
    return [=, this, room = static_cast<float*>(scratch.data)] {
      winograd_weight_gradient(layer_, x, dy, gradient, room);
    };
  }

 private:
  static Work convolve(const Winograd& layer, const float* weights, const void* x,
                       const Finish& finish, void* y, Scratch scratch) {
    return [=, room = static_cast<float*>(scratch.data)] {
      winograd_convolution(layer, x, weights, finish, y, room);
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
  if (spec.precision == Precision::bf16 && outrun_by_bf16(spec)) return false;
  if (spec.window.kernel != 3 || spec.window.padding != 1 || spec.in.channels % lanes != 0 ||
      spec.out.channels % lanes != 0) {
    return false;
  }
  if (spec.window.stride == 1) return spec.in.height > 3 && spec.in.width > 3;
  if (spec.window.stride != 2 || spec.needs.any())
    return false;  // its gradients have no such filter
  const int64_t direct = 9 * spec.out.height * spec.out.width;
  const int64_t products = layer_with(spec, Minimal::four_strided).products();
  return 5 * products <= 4 * direct && pays(spec, direct - products);
}

std::unique_ptr<Convolution> make_winograd_convolution(const ConvolutionSpec& spec) {
  return std::make_unique<WinogradConvolution>(spec);
}

}  // namespace hardmoe::cpu
