#include "engine/cpu/convolution.h"

#include "engine/cpu/dense_conv.h"
#include "engine/cpu/narrow_conv.h"
#include "engine/cpu/tap_conv.h"
#include "engine/cpu/winograd_conv.h"
#include "engine/cpu/working_weights.h"

namespace hardmoe::cpu {
namespace {

/// oneDNN's own.
class DirectConvolution final : public Convolution {
 public:
  explicit DirectConvolution(const ConvolutionSpec& spec)
      : primitives_(onednn::convolution(spec.name, spec.window, spec.in, spec.out, spec.batch,
                                        spec.precision, spec.needs)),
        layout_(spec.needs.weights
                    ? primitives_.weights_gradient
                    : onednn::plain_weight({spec.out.channels, spec.in.channels, spec.window.kernel,
                                            spec.window.kernel})),
        weights_(layout_, primitives_) {}

  const onednn::Desc& layout() const override { return layout_; }
  size_t scratch_bytes() const override { return primitives_.scratch_bytes; }
  size_t copy_bytes() const override { return weights_.bytes(); }
  void place(const float* weights, std::byte* copies) override { weights_.place(weights, copies); }
  void refresh() override { weights_.refresh(); }

  Work forward(const void* x, void* y, Scratch scratch) const override {
    const auto& p = primitives_;
    return onednn::bind(p.forward,
                        {{DNNL_ARG_SRC, onednn::wrap(p.source, x)},
                         {DNNL_ARG_WEIGHTS, onednn::wrap(p.weights_forward, weights_.forward())},
                         {DNNL_ARG_DST, onednn::wrap(p.target, y)}},
                        scratch);
  }
  Work backward_data(const void* dy, void* dx, Scratch scratch) const override {
    const auto& p = primitives_;
    return onednn::bind(p.backward_data,
                        {{DNNL_ARG_DIFF_DST, onednn::wrap(p.target, dy)},
                         {DNNL_ARG_WEIGHTS, onednn::wrap(p.weights_backward, weights_.backward())},
                         {DNNL_ARG_DIFF_SRC, onednn::wrap(p.source, dx)}},
                        scratch);
  }
  Work backward_weights(const void* x, const void* dy, float* gradient,
                        Scratch scratch) const override {
    const auto& p = primitives_;
    return onednn::bind(p.backward_weights,
                        {{DNNL_ARG_SRC, onednn::wrap(p.source, x)},
                         {DNNL_ARG_DIFF_DST, onednn::wrap(p.target, dy)},
                         {DNNL_ARG_DIFF_WEIGHTS, onednn::wrap(p.weights_gradient, gradient)}},
                        scratch);
  }

 private:
  onednn::Layer primitives_;
  onednn::Desc layout_;
  WorkingWeights weights_;
};

}  // namespace

std::unique_ptr<Convolution> make_convolution(const ConvolutionSpec& spec) {
  if (suits_winograd_convolution(spec)) return make_winograd_convolution(spec);
  if (suits_tap_convolution(spec)) return make_tap_convolution(spec);
  if (suits_dense_convolution(spec)) return make_dense_convolution(spec);
  if (suits_narrow_convolution(spec)) return make_narrow_convolution(spec);
  return std::make_unique<DirectConvolution>(spec);
}

}  // namespace hardmoe::cpu
