#include "engine/ops/linear.h"

#include <optional>

#include "engine/cpu/head.h"
#include "engine/cpu/layer.h"
#include "engine/cpu/working_weights.h"
#include "tensor/tensor.h"

namespace hardmoe::cpu {
namespace {

class LinearLayer final : public Layer {
 public:
  LinearLayer(const Linear& op, LayerBuilder& builder)
      : primitives_(onednn::inner_product(builder.input().extent, op.channels, builder.rows(),
                                          builder.precision(), builder.needs(),
                                          {op.bias, op.working})),
        bias_desc_({op.channels}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::x),
        slope_desc_({builder.rows(), op.channels}, onednn::type_of(builder.precision()),
                    dnnl::memory::format_tag::nc) {
    const Extent& in = builder.input().extent;
    const Shape shape = in.positions() == 1 ? Shape{op.channels, in.channels}
                                            : Shape{op.channels, in.channels, in.height, in.width};
    const onednn::Desc plain = onednn::plain_weight(shape);
    layout_ = builder.needs().weights ? primitives_.weights_gradient : plain;
    weight_ = builder.parameter(".weight", &layout_, &plain);
    if (op.bias) bias_ = builder.parameter(".bias");
    weights_.emplace(layout_, primitives_);
    copies_ = Tensor(DType::u8, {static_cast<int64_t>(weights_->bytes())});
    builder.need_scratch(primitives_.scratch_bytes);
  }

  size_t copy_bytes() const override { return copies_.bytes(); }
  void place(const Arrays& arrays) override {
    weights_->place(arrays.weights(weight_), copies_.data());
  }
  void refresh() override { weights_->refresh(); }
  Work work(const Step& step, const Arrays& arrays) override {
    const auto& p = primitives_;
    const auto at = [&](const onednn::Desc& desc, BufferId buffer) {
      return onednn::wrap(desc, arrays.at(buffer));
    };
    std::vector<std::pair<int, dnnl::memory>> arguments;
    switch (step.pass) {
      case Pass::forward:
        arguments = {{DNNL_ARG_SRC, at(p.source, step.x[0])},
                     {DNNL_ARG_WEIGHTS, onednn::wrap(p.weights_forward, weights_->forward())},
                     {DNNL_ARG_DST, at(p.target, step.y)}};
        if (bias_ >= 0) {
          arguments.emplace_back(DNNL_ARG_BIAS, onednn::wrap(bias_desc_, arrays.weights(bias_)));
        }
        return onednn::bind(p.forward, arguments, arrays.scratch());
      case Pass::backward_weights:
        arguments = {
            {DNNL_ARG_SRC, at(p.source, step.x[0])},
            {DNNL_ARG_DIFF_DST, at(slope_desc_, step.dy)},
            {DNNL_ARG_DIFF_WEIGHTS, onednn::wrap(p.weights_gradient, arrays.gradient(weight_))}};
        if (bias_ >= 0) {
          arguments.emplace_back(DNNL_ARG_DIFF_BIAS,
                                 onednn::wrap(bias_desc_, arrays.gradient(bias_)));
        }
        return onednn::bind(p.backward_weights, arguments, arrays.scratch());
      default:
        return onednn::bind(
            p.backward_data,
            {{DNNL_ARG_DIFF_DST, at(slope_desc_, step.dy)},
             {DNNL_ARG_WEIGHTS, onednn::wrap(p.weights_backward, weights_->backward())},
             {DNNL_ARG_DIFF_SRC, at(p.source, step.dx[0])}},
            arrays.scratch());
    }
  }

 private:
  onednn::Layer primitives_;
  onednn::Desc bias_desc_, slope_desc_, layout_;
  int weight_, bias_ = -1;  ///< -1: none
  std::optional<WorkingWeights> weights_;
  Tensor copies_;
};

/// A head in inference.
class HeadLayer final : public Layer {
 public:
  HeadLayer(const Linear& op, LayerBuilder& builder)
      : plain_(onednn::plain_weight({op.channels, builder.input().extent.channels})),
        rows_(builder.rows()),
        head_(builder.input().extent.channels, op.channels),
        weight_(builder.parameter(".weight", &plain_, &plain_)),
        copy_(DType::u8, {static_cast<int64_t>(head_.copy_bytes())}) {
    if (op.bias) bias_ = builder.parameter(".bias");
  }

  size_t copy_bytes() const override { return copy_.bytes(); }
  void place(const Arrays& arrays) override { head_.place(arrays.weights(weight_), copy_.data()); }
  void refresh() override { head_.refresh(); }
  Work work(const Step& step, const Arrays& arrays) override {
    return head_.forward(arrays.floats(step.x[0]), bias_ < 0 ? nullptr : arrays.weights(bias_),
                         rows_, arrays.floats(step.y));
  }

 private:
  onednn::Desc plain_;
  int64_t rows_;
  Head head_;
  int weight_, bias_ = -1;  ///< -1: none
  Tensor copy_;
};

/// Whether the layer gives scores in inference, from one vector a row.
bool is_head(const Linear& op, const LayerBuilder& builder) {
  return !builder.training() && !op.working && builder.precision() == Precision::fp32 &&
         builder.input().extent.positions() == 1;
}

}  // namespace

std::unique_ptr<Layer> make_layer(const Linear& op, LayerBuilder& builder) {
  if (is_head(op, builder)) return std::make_unique<HeadLayer>(op, builder);
  return std::make_unique<LinearLayer>(op, builder);
}

}  // namespace hardmoe::cpu
