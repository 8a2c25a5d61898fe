#include "engine/ops/bias.h"

#include "engine/cpu/layer.h"
#include "engine/cpu/rows.h"

namespace hardmoe::cpu {
namespace {

class BiasLayer final : public Layer {
 public:
  explicit BiasLayer(LayerBuilder& builder)
      : rows_(builder.rows() * builder.output().extent.positions()),
        channels_(builder.output().extent.channels),
        bias_(builder.parameter(".bias")) {}

  Work work(const Step& step, const Arrays& arrays) override {
    if (step.pass == Pass::forward) {
      return [this, x = arrays.activations(step.x[0]), y = arrays.activations(step.y),
              bias = arrays.weights(bias_)] { add_row(x, bias, rows_, channels_, y); };
    }
    return [this, dy = arrays.activations(step.dy), gradient = arrays.gradient(bias_)] {
      sum_rows(dy, rows_, channels_, channels_, gradient);
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

}  // namespace hardmoe::cpu
