#include "engine/ops/balance_loss.h"

#include "engine/cpu/gate_rows.h"
#include "engine/cpu/layer.h"

namespace hardmoe::cpu {
namespace {

class BalanceLossLayer final : public Layer {
 public:
  BalanceLossLayer(const BalanceLoss& op, LayerBuilder& builder)
      : number_(static_cast<size_t>(op.number)),
        balance_{op.balance(builder.rows(), builder.input().extent.channels)},
        sums_(balance_.rows, balance_.experts),
        slopes_(static_cast<size_t>(balance_.experts)) {}

  Work work(const Step& step, const Arrays& arrays) override {
    return [this, gates = arrays.floats(step.x[0]), dx = arrays.activations(step.dx[0]),
            &running = arrays.running()] {
      running.loss_sums[number_] += balance_.of(sums_.of(gates), slopes_.data());
      if (!dx) return;
      with_gate_numbers(dx, [&](const auto& gradient) {
        for_gate_rows(balance_.rows, [&](int64_t row) {
          const auto numbers = gradient.from(row * balance_.experts);
          for (int i = 0; i < balance_.experts; ++i)
            numbers.set(i, slopes_[static_cast<size_t>(i)]);
        });
      });
    };
  }

 private:
  size_t number_;
  Balance balance_;
  GateSums sums_;
  std::vector<float> slopes_;  ///< the gradient of each expert's gates
};

}  // namespace

std::unique_ptr<Layer> make_layer(const BalanceLoss& op, LayerBuilder& builder) {
  return std::make_unique<BalanceLossLayer>(op, builder);
}

}  // namespace hardmoe::cpu
