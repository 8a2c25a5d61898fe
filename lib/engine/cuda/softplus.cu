#include "engine/ops/softplus.h"

#include "engine/cuda/gate_rows.cuh"
#include "engine/cuda/layer.h"
#include "engine/softplus.h"

namespace hardmoe::cuda {
namespace {

struct SoftplusOfElement {
  const float* x;
  int64_t channels, held;
  float shift, floor;
  float* y;

  __device__ __forceinline__ void operator()(int64_t i) const {
    y[i] = i % held < channels ? softplus(x[i] + shift) + floor : 0.0F;
  }
};

template <class T>
struct SoftplusSlope {
  const float* x;
  float shift;
  GateNumbers<T> gradient;

  __device__ __forceinline__ void operator()(int64_t i) const {
    const GateNumbers<T> one = gradient.from(i);
    one.set(0, one.at(0) * sigmoid(x[i] + shift));
  }
};

class SoftplusLayer final : public Layer {
 public:
  SoftplusLayer(const Softplus& op, LayerBuilder& builder)
      : op_(op),
        elements_(builder.held_elements()),
        channels_(builder.output().extent.channels),
        held_(builder.held(builder.output_value())) {}

  Work work(const Step& step, const Arrays& arrays, int) override {
    const float* x = arrays.floats(step.x[0]);
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      const SoftplusOfElement body = {x,         channels_, held_,
                                      op_.shift, op_.floor, arrays.floats(step.y)};
      return [=, this] { for_gate_rows("softplus", elements_, body, stream); };
    }
    return [=, this, dy = arrays.activations(step.dy)] {
      with_type(dy, [&]<class T>(T* data) {
        for_gate_rows("softplus backward", elements_, SoftplusSlope<T>{x, op_.shift, {data}},
                      stream);
      });
    };
  }

 private:
  Softplus op_;
  int64_t elements_, channels_, held_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Softplus& op, LayerBuilder& builder) {
  return std::make_unique<SoftplusLayer>(op, builder);
}

}  // namespace hardmoe::cuda
