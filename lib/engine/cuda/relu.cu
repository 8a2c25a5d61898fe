#include "engine/ops/relu.h"

#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

struct ReluFunction {
  __device__ __forceinline__ static float of(float x) { return x < 0 ? 0.0F : x; }  // a NaN stays
};

struct ReluSlope {
  __device__ __forceinline__ static float of(float y, float dy) { return y > 0 ? dy : 0.0F; }
};

class ReluLayer final : public Layer {
 public:
  explicit ReluLayer(LayerBuilder& builder) : elements_(builder.held_elements()) {}

  Work work(const Step& step, const Arrays& arrays, int) override {
    const Activations y = arrays.activations(step.y);
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      return [=, this, x = arrays.activations(step.x[0])] {
        map_elements<ReluFunction>("relu", x, elements_, y, stream);
      };
    }
    return [=, this, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0])] {
      zip_elements<ReluSlope>("relu backward", y, dy, elements_, dx, stream);
    };
  }

 private:
  int64_t elements_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Relu&, LayerBuilder& builder) {
  return std::make_unique<ReluLayer>(builder);
}

}  // namespace hardmoe::cuda
