#include "engine/cpu/convolution.h"

#include <vector>

#include "engine/cpu/dense_conv.h"
#include "engine/cpu/kernels.h"
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
                                        spec.precision, spec.needs, spec.finish)),
        elements_(spec.batch * spec.out.elements()),
        precision_(spec.precision),
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

  /// The library adds to what y holds.
  Work forward(const void* x, void* y, Scratch scratch, const Finish& finish) const override {
    const auto& p = primitives_;
    std::vector<std::pair<int, dnnl::memory>> arguments = {
        {DNNL_ARG_SRC, onednn::wrap(p.source, x)},
        {DNNL_ARG_WEIGHTS, onednn::wrap(p.weights_forward, weights_.forward())},
        {DNNL_ARG_DST, onednn::wrap(p.target, y)}};
    if (finish.bias != nullptr) {
      arguments.emplace_back(DNNL_ARG_BIAS, onednn::wrap(p.bias, finish.bias));
    }
    Work sum = onednn::bind(p.forward, arguments, scratch);
    if (finish.residual == nullptr || finish.residual == y) return sum;
    const Activations from = {const_cast<void*>(finish.residual), precision_};
    return [=, sum = std::move(sum), n = elements_, to = Activations{y, precision_}] {
      copy_activations(from, n, to);
      sum();
    };
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
  int64_t elements_;  ///< of y
  Precision precision_;
  onednn::Desc layout_;
  WorkingWeights weights_;
};

/// One that leaves finishing to a second pass over y.
class FinishedConvolution final : public Convolution {
 public:
  FinishedConvolution(std::unique_ptr<Convolution> sums, const ConvolutionSpec& spec)
      : sums_(std::move(sums)),
        rows_(spec.batch * spec.out.positions()),
        channels_(spec.out.channels),
        precision_(spec.precision),
        keeps_sums_(spec.finish.residual),
        ones_(static_cast<size_t>(channels_), 1.0F),
        zeros_(static_cast<size_t>(channels_), 0.0F) {}

  const onednn::Desc& layout() const override { return sums_->layout(); }
  size_t scratch_bytes() const override { return sum_bytes() + sums_->scratch_bytes(); }
  size_t copy_bytes() const override { return sums_->copy_bytes(); }
  void place(const float* weights, std::byte* copies) override { sums_->place(weights, copies); }
  void refresh() override { sums_->refresh(); }

  Work forward(const void* x, void* y, Scratch scratch, const Finish& finish) const override {
    // Where the residual may be y itself, sums must not overwrite it.
    void* sums = keeps_sums_ ? scratch.data : y;
    const Work work = sums_->forward(x, sums, scratch.after(sum_bytes()), {});
    const float* bias = finish.bias != nullptr ? finish.bias : zeros_.data();
    const Activations from = {sums, precision_}, to = {y, precision_};
    const Activations residual = {const_cast<void*>(finish.residual), precision_};
    return [=, this, relu = finish.relu] {
      work();
      norm_apply(from, residual, ones_.data(), bias, relu, rows_, channels_, to);
    };
  }
  Work backward_data(const void* dy, void* dx, Scratch scratch) const override {
    return sums_->backward_data(dy, dx, scratch);
  }
  Work backward_weights(const void* x, const void* dy, float* gradient,
                        Scratch scratch) const override {
    return sums_->backward_weights(x, dy, gradient, scratch);
  }

 private:
  size_t sum_bytes() const {
    if (!keeps_sums_) return 0;
    const size_t element = precision_ == Precision::bf16 ? 2 : 4;
    return whole_lines(static_cast<size_t>(rows_ * channels_) * element);
  }

  std::unique_ptr<Convolution> sums_;
  int64_t rows_, channels_;
  Precision precision_;
  bool keeps_sums_;
  std::vector<float> ones_, zeros_;
};

/// Returns one that computes sums alone; null where the library's own is to be taken.
std::unique_ptr<Convolution> make_plain(const ConvolutionSpec& spec) {
  if (suits_tap_convolution(spec)) return make_tap_convolution(spec);
  if (suits_dense_convolution(spec)) return make_dense_convolution(spec);
  if (suits_narrow_convolution(spec)) return make_narrow_convolution(spec);
  return nullptr;
}

}  // namespace

std::unique_ptr<Convolution> make_convolution(const ConvolutionSpec& spec) {
  if (suits_winograd_convolution(spec)) return make_winograd_convolution(spec);
  auto plain = make_plain(spec);
  if (!plain) return std::make_unique<DirectConvolution>(spec);
  if (!spec.finish.any()) return plain;
  return std::make_unique<FinishedConvolution>(std::move(plain), spec);
}

}  // namespace hardmoe::cpu
