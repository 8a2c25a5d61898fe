#include "engine/ops/gelu.h"

#include <cmath>

#include "base/simd.h"
#include "engine/cpu/float_chunks.h"
#include "engine/cpu/layer.h"
#include "engine/cpu/vector.h"

namespace hardmoe::cpu {
namespace {

struct Normal {
  Vec cumulative, density;
};

/// Φ(x) and φ(x) to about 1e-7: Abramowitz & Stegun 7.1.26 for the tail, with e^(−x²/2).
HARDMOE_INLINE Normal normal(Vec x) {
  const Vec size = x < 0.0F ? -x : x;
  const Vec e = exponential(-0.5F * x * x);
  const Vec t = 1.0F / (1.0F + (0.3275911F * 0.70710678F) * size);
  Vec p = splat(1.061405429F);
  p = p * t - 1.453152027F;
  p = p * t + 1.421413741F;
  p = p * t - 0.284496736F;
  p = p * t + 0.254829592F;
  const Vec tail = 0.5F * p * t * e;
  return {x < 0.0F ? tail : 1.0F - tail, 0.39894228F * e};
}

/// The derivative of x·Φ(x).
HARDMOE_INLINE Vec slope(Vec x) {
  const Normal at = normal(x);
  return at.cumulative + x * at.density;
}

HARDMOE_INLINE Vec load_up_to(const float* p, int64_t n) {
  Vec v = {};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
HARDMOE_INLINE void store_up_to(float* p, int64_t n, Vec v) {
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}

HARDMOE_VECTOR_KERNEL void gelu(const float* x, int64_t n, float* y) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const Vec v = load(x + i);
    store(y + i, v * normal(v).cumulative);
  }
  const Vec v = load_up_to(x + i, n - i);
  store_up_to(y + i, n - i, v * normal(v).cumulative);
}

HARDMOE_VECTOR_KERNEL void gelu_backward(const float* x, const float* dy, int64_t n, float* dx) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(dx + i, load(dy + i) * slope(load(x + i)));
  store_up_to(dx + i, n - i, load_up_to(dy + i, n - i) * slope(load_up_to(x + i, n - i)));
}

class GeluLayer final : public Layer {
 public:
  explicit GeluLayer(LayerBuilder& builder)
      : elements_(builder.rows() * builder.output().extent.elements()) {}

  Work work(const Step& step, const Arrays& arrays) override {
    const Activations x = arrays.activations(step.x[0]);
    if (step.pass == Pass::forward) {
      return [this, x, y = arrays.activations(step.y)] {
        for_float_chunks(elements_, [&](FloatChunk& chunk) {
          gelu(chunk.read(x), chunk.size(), chunk.result());
          chunk.write(chunk.result(), y);
        });
      };
    }
    return [this, x, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0])] {
      for_float_chunks(elements_, [&](FloatChunk& chunk) {
        gelu_backward(chunk.read(x), chunk.read(dy), chunk.size(), chunk.result());
        chunk.write(chunk.result(), dx);
      });
    };
  }

 private:
  int64_t elements_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Gelu&, LayerBuilder& builder) {
  return std::make_unique<GeluLayer>(builder);
}

}  // namespace hardmoe::cpu
