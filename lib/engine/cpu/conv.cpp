#include "engine/ops/conv.h"

#include "engine/cpu/convolution.h"
#include "engine/cpu/folded_conv.h"
#include "engine/cpu/layer.h"
#include "tensor/tensor.h"

namespace hardmoe::cpu {
namespace {

class ConvLayer final : public Layer {
 public:
  ConvLayer(const Conv& op, LayerBuilder& builder)
      : convolution_(make_convolution({builder.name(), op.window, builder.input().extent,
                                       builder.output().extent, builder.rows(), builder.precision(),
                                       builder.needs()})),
        weight_(builder.parameter(".weight", &convolution_->layout())) {
    builder.need_scratch(convolution_->scratch_bytes());
    copies_ = Tensor(DType::u8, {static_cast<int64_t>(convolution_->copy_bytes())});
  }

  size_t copy_bytes() const override { return copies_.bytes(); }
  void place(const Arrays& arrays) override {
    convolution_->place(arrays.weights(weight_), copies_.data());
  }
  void refresh() override { convolution_->refresh(); }
  Work work(const Step& step, const Arrays& arrays) override {
    const Scratch scratch = arrays.scratch();
    switch (step.pass) {
      case Pass::forward:
        return convolution_->forward(arrays.at(step.x[0]), arrays.at(step.y), scratch, {});
      case Pass::backward_weights:
        return convolution_->backward_weights(arrays.at(step.x[0]), arrays.at(step.dy),
                                              arrays.gradient(weight_), scratch);
      default:
        return convolution_->backward_data(arrays.at(step.dy), arrays.at(step.dx[0]), scratch);
    }
  }

 private:
  std::unique_ptr<Convolution> convolution_;
  int weight_;
  Tensor copies_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Conv& op, LayerBuilder& builder) {
  if (op.norm) return make_folded_conv(op, builder);
  return std::make_unique<ConvLayer>(op, builder);
}

}  // namespace hardmoe::cpu
