#include "engine/ops/bias.h"

#include "engine/cuda/layer.h"
#include "engine/cuda/rows.h"

namespace hardmoe::cuda {
namespace {

class BiasLayer final : public Layer {
 public:
  explicit BiasLayer(LayerBuilder& builder)
      : rows_(builder.rows() * builder.output().extent.positions()),
        channels_(builder.held(builder.output_value())),
        bias_(builder.parameter(".bias", channels_)) {}

  Work work(const Step& step, const Arrays& arrays, int) override {
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      return [=, this, x = arrays.activations(step.x[0]), y = arrays.activations(step.y),
              bias = arrays.weights(bias_)] { add_row(x, bias, rows_, channels_, y, stream); };
    }
    return [=, this, dy = arrays.activations(step.dy), gradient = arrays.gradient(bias_)] {
      bias_gradient(dy, rows_, channels_, gradient, stream);
    };
  }

 private:
  int64_t rows_, channels_;
  int bias_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Bias&, LayerBuilder& builder) {
  return std::make_unique<BiasLayer>(builder);
}

}  // namespace hardmoe::cuda
