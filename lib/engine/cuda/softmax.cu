#include "engine/ops/softmax.h"

#include "engine/cuda/gate_backward.cuh"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

struct SoftmaxOfRow {
  const float* x;
  int experts;
  int64_t held;
  float* y;

  __device__ __forceinline__ void operator()(int64_t row) const {
    softmax_gates(x + row * held, experts, y + row * held);
    for (int64_t i = experts; i < held; ++i) y[row * held + i] = 0;
  }
};

class SoftmaxLayer final : public Layer {
 public:
  explicit SoftmaxLayer(LayerBuilder& builder)
      : rows_(builder.rows()),
        experts_(static_cast<int>(builder.output().extent.channels)),
        held_(builder.held(builder.output_value())) {}

  Work work(const Step& step, const Arrays& arrays, int) override {
    float* y = arrays.floats(step.y);
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      return [=, this, x = arrays.floats(step.x[0])] {
        for_gate_rows("softmax", rows_, SoftmaxOfRow{x, experts_, held_, y}, stream);
      };
    }
    return [=, this, dy = arrays.activations(step.dy)] {
      differentiate_gates("softmax backward", y, rows_, experts_, held_, true, dy, stream);
    };
  }

 private:
  int64_t rows_;
  int experts_;
  int64_t held_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Softmax&, LayerBuilder& builder) {
  return std::make_unique<SoftmaxLayer>(builder);
}

}  // namespace hardmoe::cuda
