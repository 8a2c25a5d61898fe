#include "engine/ops/top_k.h"

#include <optional>

#include "engine/cpu/gate_rows.h"
#include "engine/cpu/layer.h"
#include "engine/gate_choice.h"

namespace hardmoe::cpu {
namespace {

class TopKLayer final : public Layer {
 public:
  TopKLayer(const TopK& op, LayerBuilder& builder)
      : op_(op),
        rows_(builder.rows()),
        experts_(static_cast<int>(builder.output().extent.channels)),
        constrained_(op.constraint != Constraint::none) {
    if (!constrained_) return;
    running_ = builder.parameter(".running");
    steps_ = builder.parameter(".steps");
    if (builder.training()) sums_.emplace(rows_, experts_);
  }

  Work work(const Step& step, const Arrays& arrays) override {
    float* y = arrays.floats(step.y);
    if (step.pass == Pass::backward) {
      return gate_gradient(y, arrays.activations(step.dy), rows_, experts_, op_.softmax);
    }
    const float* x = arrays.floats(step.x[0]);
    if (!sums_) return [=, this] { choose(x, nullptr, y); };
    return [=, this, running = arrays.weights(running_), steps = arrays.weights(steps_)] {
      choose(x, running, y);
      const float* sums = sums_->of(y);
      *steps += 1;
      for (int i = 0; i < experts_; ++i) {
        running[i] = op_.moved_on(running[i], *steps, sums[i], rows_, experts_);
      }
    };
  }

 private:
  void choose(const float* x, const float* running, float* y) const {
    GateRow masks = {nullptr, experts_, running, op_.threshold(experts_)};
    masks.keep_one();
    for_gate_rows(rows_, [&](int64_t row) {
      GateRow values = masks;
      values.values = x + row * experts_;
      choose_gates(values, op_.k, op_.softmax, y + row * experts_);
    });
  }

  TopK op_;
  int64_t rows_;
  int experts_;
  bool constrained_;
  int running_ = -1, steps_ = -1;
  std::optional<GateSums> sums_;  ///< where experts are masked
};

}  // namespace

std::unique_ptr<Layer> make_layer(const TopK& op, LayerBuilder& builder) {
  return std::make_unique<TopKLayer>(op, builder);
}

}  // namespace hardmoe::cpu
