#include "engine/ops/scaled_noise.h"

#include "engine/cpu/gate_noise.h"
#include "engine/cpu/gate_rows.h"
#include "engine/cpu/layer.h"

namespace hardmoe::cpu {
namespace {

class ScaledNoiseLayer final : public Layer {
 public:
  explicit ScaledNoiseLayer(LayerBuilder& builder)
      : key_{builder.seed(), 0, static_cast<uint32_t>(builder.output_value())},
        elements_(builder.rows() * builder.output().extent.elements()) {}

  Work work(const Step& step, const Arrays& arrays) override {
    const Running& running = arrays.running();
    if (step.pass == Pass::forward) {
      return [this, x = arrays.floats(step.x[0]), sigma = arrays.floats(step.x[1]),
              y = arrays.floats(step.y), &running] {
        for_noise(key_of(running), elements_,
                  [&](int64_t i, float noise) { y[i] = x[i] + sigma[i] * noise; });
      };
    }
    return [this, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0]), &running] {
      with_gate_numbers(dy, [&]<class Numbers>(const Numbers& slope) {
        const Numbers out = {static_cast<decltype(slope.data)>(dx.data)};
        for_noise(key_of(running), elements_,
                  [&](int64_t i, float noise) { out.from(i).set(0, slope.from(i).at(0) * noise); });
      });
    };
  }

 private:
  NoiseKey key_of(const Running& running) const { return {key_.seed, running.step, key_.op}; }

  NoiseKey key_;
  int64_t elements_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const ScaledNoise&, LayerBuilder& builder) {
  return std::make_unique<ScaledNoiseLayer>(builder);
}

}  // namespace hardmoe::cpu
