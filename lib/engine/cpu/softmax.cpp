#include "engine/ops/softmax.h"

#include "engine/cpu/gate_rows.h"
#include "engine/cpu/layer.h"
#include "engine/gate_choice.h"

namespace hardmoe::cpu {
namespace {

class SoftmaxLayer final : public Layer {
 public:
  explicit SoftmaxLayer(LayerBuilder& builder)
      : rows_(builder.rows()), experts_(static_cast<int>(builder.output().extent.channels)) {}

  Work work(const Step& step, const Arrays& arrays) override {
    float* y = arrays.floats(step.y);
    if (step.pass == Pass::forward) {
      return [this, x = arrays.floats(step.x[0]), y] {
        for_gate_rows(rows_, [&](int64_t row) {
          softmax_gates(x + row * experts_, experts_, y + row * experts_);
        });
      };
    }
    return gate_gradient(y, arrays.activations(step.dy), rows_, experts_, true);
  }

 private:
  int64_t rows_;
  int experts_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Softmax&, LayerBuilder& builder) {
  return std::make_unique<SoftmaxLayer>(builder);
}

}  // namespace hardmoe::cpu
