#include "engine/ops/balance_loss.h"

#include "engine/cuda/gate_rows.cuh"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

/// By one thread: experts are few.
struct LossOfSums {
  Balance balance;
  const float* sums;
  float* slopes;
  double* loss_sum;

  __device__ __forceinline__ void operator()(int64_t) const {
    *loss_sum += balance.of(sums, slopes);
  }
};

template <class T>
struct WriteSlopes {
  const float* slopes;
  int experts;
  int64_t held;
  GateNumbers<T> gradient;

  __device__ __forceinline__ void operator()(int64_t row) const {
    for (int i = 0; i < held; ++i) {
      gradient.from(row * held).set(i, i < experts ? slopes[i] : 0.0F);
    }
  }
};

class BalanceLossLayer final : public Layer {
 public:
  BalanceLossLayer(const BalanceLoss& op, LayerBuilder& builder)
      : number_(op.number),
        balance_(op.balance(builder.rows(), builder.input().extent.channels)),
        held_(builder.held(builder.input_value())) {
    builder.need_workspace(4 * 2 * held_);
  }

  Work work(const Step& step, const Arrays& arrays, int) override {
    const float* gates = arrays.floats(step.x[0]);
    float* sums = arrays.workspace();
    float* slopes = sums + held_;
    const LossOfSums loss = {balance_, sums, slopes, arrays.loss_sum(number_)};
    return [=, this, dx = arrays.activations(step.dx[0]), stream = arrays.stream()] {
      sum_gates(gates, balance_.rows, held_, sums, stream);
      for_gate_rows("loss", 1, loss, stream);
      if (!dx) return;
      with_type(dx, [&]<class T>(T* data) {
        for_gate_rows("loss", balance_.rows,
                      WriteSlopes<T>{slopes, balance_.experts, held_, {data}}, stream);
      });
    };
  }

 private:
  int number_;
  Balance balance_;
  int64_t held_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const BalanceLoss& op, LayerBuilder& builder) {
  return std::make_unique<BalanceLossLayer>(op, builder);
}

}  // namespace hardmoe::cuda
