#include "engine/ops/noise.h"

#include "engine/cuda/gate_noise.cuh"
#include "engine/cuda/gate_rows.cuh"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

struct AddNoise {
  const float* x;
  NoiseOfStep noise;
  float deviation;
  float* y;

  __device__ __forceinline__ void operator()(int64_t i) const {
    y[i] = x[i] + deviation * noise.at(i);
  }
};

class NoiseLayer final : public Layer {
 public:
  NoiseLayer(const Noise& op, LayerBuilder& builder)
      : op_(op),
        elements_(builder.held_elements()),
        noise_{{builder.options().seed, 0, static_cast<uint32_t>(builder.output_value())},
               nullptr,
               builder.output().extent.channels,
               builder.held(builder.output_value())} {}

  Work work(const Step& step, const Arrays& arrays, int slot) override {
    AddNoise body = {arrays.floats(step.x[0]), noise_, op_.deviation, arrays.floats(step.y)};
    body.noise.factors = arrays.input().factors(slot);
    return [=, this, stream = arrays.stream()] { for_gate_rows("noise", elements_, body, stream); };
  }

 private:
  Noise op_;
  int64_t elements_;
  NoiseOfStep noise_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Noise& op, LayerBuilder& builder) {
  return std::make_unique<NoiseLayer>(op, builder);
}

}  // namespace hardmoe::cuda
