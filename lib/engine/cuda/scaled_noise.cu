#include "engine/ops/scaled_noise.h"

#include "engine/cuda/gate_noise.cuh"
#include "engine/cuda/gate_rows.cuh"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

struct AddScaledNoise {
  const float* x;
  const float* sigma;
  NoiseOfStep noise;
  float* y;

  __device__ __forceinline__ void operator()(int64_t i) const {
    y[i] = x[i] + sigma[i] * noise.at(i);
  }
};

template <class T>
struct ScaledNoiseSlope {
  GateNumbers<T> dy;
  NoiseOfStep noise;
  GateNumbers<T> d_sigma;

  __device__ __forceinline__ void operator()(int64_t i) const {
    d_sigma.from(i).set(0, dy.from(i).at(0) * noise.at(i));
  }
};

class ScaledNoiseLayer final : public Layer {
 public:
  explicit ScaledNoiseLayer(LayerBuilder& builder)
      : elements_(builder.held_elements()),
        noise_{{builder.options().seed, 0, static_cast<uint32_t>(builder.output_value())},
               nullptr,
               builder.output().extent.channels,
               builder.held(builder.output_value())} {}

  Work work(const Step& step, const Arrays& arrays, int slot) override {
    NoiseOfStep noise = noise_;
    noise.factors = arrays.input().factors(slot);
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      const AddScaledNoise body = {arrays.floats(step.x[0]), arrays.floats(step.x[1]), noise,
                                   arrays.floats(step.y)};
      return [=, this] { for_gate_rows("noise", elements_, body, stream); };
    }
    return [=, this, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0])] {
      with_type(dy, [&]<class T>(T* data) {
        const ScaledNoiseSlope<T> body = {{data}, noise, {static_cast<T*>(dx.data)}};
        for_gate_rows("noise backward", elements_, body, stream);
      });
    };
  }

 private:
  int64_t elements_;
  NoiseOfStep noise_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const ScaledNoise&, LayerBuilder& builder) {
  return std::make_unique<ScaledNoiseLayer>(builder);
}

}  // namespace hardmoe::cuda
