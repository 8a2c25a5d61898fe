#include "engine/ops/gelu.h"

#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

/// Φ(x).
__device__ __forceinline__ float normal_cumulative(float x) {
  return 0.5F * erfcf(-0.707106781F * x);
}

struct GeluFunction {
  __device__ __forceinline__ static float of(float x) { return x * normal_cumulative(x); }
};

struct GeluSlope {
  __device__ __forceinline__ static float of(float x, float dy) {
    const float density = 0.39894228F * expf(-0.5F * x * x);
    return dy * (normal_cumulative(x) + x * density);
  }
};

class GeluLayer final : public Layer {
 public:
  explicit GeluLayer(LayerBuilder& builder) : elements_(builder.held_elements()) {}

  Work work(const Step& step, const Arrays& arrays, int) override {
    const Activations x = arrays.activations(step.x[0]);
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      return [=, this, y = arrays.activations(step.y)] {
        map_elements<GeluFunction>("gelu", x, elements_, y, stream);
      };
    }
    return [=, this, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0])] {
      zip_elements<GeluSlope>("gelu backward", x, dy, elements_, dx, stream);
    };
  }

 private:
  int64_t elements_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Gelu&, LayerBuilder& builder) {
  return std::make_unique<GeluLayer>(builder);
}

}  // namespace hardmoe::cuda
