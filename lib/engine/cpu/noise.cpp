#include "engine/ops/noise.h"

#include "engine/cpu/gate_noise.h"
#include "engine/cpu/layer.h"

namespace hardmoe::cpu {
namespace {

class NoiseLayer final : public Layer {
 public:
  NoiseLayer(const Noise& op, LayerBuilder& builder)
      : op_(op),
        key_{builder.seed(), 0, static_cast<uint32_t>(builder.output_value())},
        elements_(builder.rows() * builder.output().extent.elements()) {}

  Work work(const Step& step, const Arrays& arrays) override {
    return [this, x = arrays.floats(step.x[0]), y = arrays.floats(step.y),
            &running = arrays.running()] {
      NoiseKey key = key_;
      key.step = running.step;
      for_noise(key, elements_,
                [&](int64_t i, float noise) { y[i] = x[i] + op_.deviation * noise; });
    };
  }

 private:
  Noise op_;
  NoiseKey key_;
  int64_t elements_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Noise& op, LayerBuilder& builder) {
  return std::make_unique<NoiseLayer>(op, builder);
}

}  // namespace hardmoe::cpu
