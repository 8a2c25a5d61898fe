#include "engine/ops/expert_linear.h"

#include <vector>

#include "engine/cpu/layer.h"
#include "engine/cpu/routing.h"
#include "engine/cpu/rows.h"
#include "engine/ops/experts.h"
#include "tensor/tensor.h"

namespace hardmoe::cpu {
namespace {

class ExpertLinearLayer final : public Layer {
 public:
  ExpertLinearLayer(const ExpertLinear& op, LayerBuilder& builder)
      : layout_{builder.input(1).planned_rows(builder.batch()), op.experts,
                chosen_of(builder.input(1), op.experts)},
        in_(builder.input().extent.channels),
        out_(op.channels),
        rounded_(builder.precision() == Precision::bf16),
        products_(in_, out_, builder.precision(), builder.needs()),
        copies_(DType::bf16, {rounded_ ? op.experts * out_ * in_ : 0}) {
    const onednn::Desc plain = onednn::plain_weight({out_, in_});
    for (int64_t e = 0; e < op.experts; ++e) {
      weights_.push_back(builder.parameter((expert_name("", e) + ".weight").c_str(), &plain));
      if (op.bias) biases_.push_back(builder.parameter((expert_name("", e) + ".bias").c_str()));
    }
  }

  size_t copy_bytes() const override { return copies_.bytes(); }
  void place(const Arrays& arrays) override { arrays_ = &arrays; }
  void refresh() override {
    if (!rounded_) return;
    for (int64_t e = 0; e < layout_.experts; ++e) {
      convert(arrays_->weights(weights_[index(e)]), out_ * in_, {copy_of(e), Precision::bf16});
    }
  }

  Work work(const Step& step, const Arrays& arrays) override {
    switch (step.pass) {
      case Pass::forward:
        return forward(step, arrays);
      case Pass::backward_weights:
        return backward_weights(step, arrays);
      default:
        return backward_data(step, arrays);
    }
  }

 private:
  static size_t index(int64_t expert) { return static_cast<size_t>(expert); }
  BFloat16* copy_of(int64_t expert) { return copies_.as<BFloat16>().data() + expert * out_ * in_; }
  /// An expert's weights in working precision.
  const void* working_weights(int64_t expert) {
    return rounded_ ? static_cast<const void*>(copy_of(expert))
                    : arrays_->weights(weights_[index(expert)]);
  }
  Routing routing(BufferId buffer, const Arrays& arrays) const {
    return {reinterpret_cast<const int32_t*>(arrays.at(buffer)), layout_};
  }

  Work forward(const Step& step, const Arrays& arrays) {
    const Activations x = arrays.activations(step.x[0]), y = arrays.activations(step.y);
    return [this, x, y, routed = routing(step.x[1], arrays)] {
      for (int64_t e = 0; e < layout_.experts; ++e) {
        if (routed.rows(e) == 0) continue;
        const Activations made = from_element(y, routed.first(e) * out_);
        products_.forward(routed.rows(e), from_element(x, routed.first(e) * in_).data,
                          working_weights(e), made.data);
        if (!biases_.empty()) {
          add_row(made, arrays_->weights(biases_[index(e)]), routed.rows(e), out_, made);
        }
      }
      clear_unused(y, layout_, routed, out_);
    };
  }

  Work backward_weights(const Step& step, const Arrays& arrays) {
    const Activations x = arrays.activations(step.x[0]), dy = arrays.activations(step.dy);
    return [this, x, dy, routed = routing(step.x[1], arrays)] {
      for (int64_t e = 0; e < layout_.experts; ++e) {
        float* gradient = arrays_->gradient(weights_[index(e)]);
        const Activations slope = from_element(dy, routed.first(e) * out_);
        if (routed.rows(e) == 0) {
          std::fill_n(gradient, out_ * in_, 0.0F);
        } else {
          products_.backward_weights(routed.rows(e), from_element(x, routed.first(e) * in_).data,
                                     slope.data, gradient);
        }
        if (!biases_.empty()) {
          sum_rows(slope, routed.rows(e), out_, out_, arrays_->gradient(biases_[index(e)]));
        }
      }
    };
  }

  Work backward_data(const Step& step, const Arrays& arrays) {
    const Activations dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0]);
    return [this, dy, dx, routed = routing(step.x[0], arrays)] {
      for (int64_t e = 0; e < layout_.experts; ++e) {
        if (routed.rows(e) == 0) continue;
        products_.backward_data(routed.rows(e), from_element(dy, routed.first(e) * out_).data,
                                working_weights(e), from_element(dx, routed.first(e) * in_).data);
      }
      clear_unused(dx, layout_, routed, in_);
    };
  }

  RoutingLayout layout_;
  int64_t in_, out_;
  bool rounded_;
  onednn::RowProducts products_;
  Tensor copies_;                      ///< the weights in bf16, one expert after the other
  std::vector<int> weights_, biases_;  ///< by expert
  const Arrays* arrays_ = nullptr;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const ExpertLinear& op, LayerBuilder& builder) {
  return std::make_unique<ExpertLinearLayer>(op, builder);
}

}  // namespace hardmoe::cpu
