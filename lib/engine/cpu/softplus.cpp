#include "engine/ops/softplus.h"

#include "engine/cpu/gate_rows.h"
#include "engine/cpu/layer.h"
#include "engine/softplus.h"

namespace hardmoe::cpu {
namespace {

class SoftplusLayer final : public Layer {
 public:
  SoftplusLayer(const Softplus& op, LayerBuilder& builder)
      : op_(op), elements_(builder.rows() * builder.output().extent.elements()) {}

  Work work(const Step& step, const Arrays& arrays) override {
    const float* x = arrays.floats(step.x[0]);
    if (step.pass == Pass::forward) {
      return [this, x, y = arrays.floats(step.y)] {
        for_gate_rows(elements_, [&](int64_t i) { y[i] = softplus(x[i] + op_.shift) + op_.floor; });
      };
    }
    return [this, x, dy = arrays.activations(step.dy)] {
      with_gate_numbers(dy, [&](const auto& gradient) {
        for_gate_rows(elements_, [&](int64_t i) {
          const auto one = gradient.from(i);
          one.set(0, one.at(0) * sigmoid(x[i] + op_.shift));
        });
      });
    };
  }

 private:
  Softplus op_;
  int64_t elements_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Softplus& op, LayerBuilder& builder) {
  return std::make_unique<SoftplusLayer>(op, builder);
}

}  // namespace hardmoe::cpu
