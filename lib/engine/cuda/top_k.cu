#include "engine/ops/top_k.h"

#include "engine/cuda/gate_backward.cuh"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

struct ChooseGates {
  TopK op;
  const float* x;
  int experts;
  int64_t held;
  const float* running;  ///< null: nobody is masked
  float* y;

  __device__ __forceinline__ void operator()(int64_t row) const {
    GateRow values = {x + row * held, experts, running, op.threshold(experts)};
    values.keep_one();
    choose_gates(values, op.k, op.softmax, y + row * held);
    for (int64_t i = experts; i < held; ++i) y[row * held + i] = 0;
  }
};

/// Moves an expert's running statistic on.
struct MoveOn {
  TopK op;
  const float* sums;
  int64_t rows;
  int experts;
  float* running;
  const float* steps;  ///< before this batch

  __device__ __forceinline__ void operator()(int64_t i) const {
    running[i] = op.moved_on(running[i], *steps + 1, sums[i], rows, experts);
  }
};

struct CountStep {
  float* steps;
  __device__ __forceinline__ void operator()(int64_t) const { *steps += 1; }
};

class TopKLayer final : public Layer {
 public:
  TopKLayer(const TopK& op, LayerBuilder& builder)
      : op_(op),
        rows_(builder.rows()),
        experts_(static_cast<int>(builder.output().extent.channels)),
        held_(builder.held(builder.output_value())) {
    if (op.constraint == Constraint::none) return;
    running_ = builder.parameter(".running", held_);
    steps_ = builder.parameter(".steps", 1);
    masks_ = builder.training();
    if (masks_) builder.need_workspace(4 * held_);
  }

  Work work(const Step& step, const Arrays& arrays, int) override {
    float* y = arrays.floats(step.y);
    const Stream stream = arrays.stream();
    if (step.pass == Pass::backward) {
      return [=, this, dy = arrays.activations(step.dy)] {
        differentiate_gates("top-k backward", y, rows_, experts_, held_, op_.softmax, dy, stream);
      };
    }
    float* running = masks_ ? arrays.weights(running_) : nullptr;
    const ChooseGates choose = {op_, arrays.floats(step.x[0]), experts_, held_, running, y};
    if (!masks_) return [=, this] { for_gate_rows("top-k", rows_, choose, stream); };
    float* sums = arrays.workspace();
    float* steps = arrays.weights(steps_);
    const MoveOn move_on = {op_, sums, rows_, experts_, running, steps};
    return [=, this] {
      for_gate_rows("top-k", rows_, choose, stream);
      sum_gates(y, rows_, held_, sums, stream);
      for_gate_rows("top-k", experts_, move_on, stream);
      for_gate_rows("top-k", 1, CountStep{steps}, stream);
    };
  }

 private:
  TopK op_;
  int64_t rows_;
  int experts_;
  int64_t held_;
  bool masks_ = false;
  int running_ = -1, steps_ = -1;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const TopK& op, LayerBuilder& builder) {
  return std::make_unique<TopKLayer>(op, builder);
}

}  // namespace hardmoe::cuda
