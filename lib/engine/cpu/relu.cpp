#include "engine/ops/relu.h"

#include "base/simd.h"
#include "engine/cpu/float_chunks.h"
#include "engine/cpu/layer.h"

namespace hardmoe::cpu {
namespace {

HARDMOE_VECTOR_KERNEL void relu(const float* x, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] < 0 ? 0 : x[i];  // a NaN stays one
}

HARDMOE_VECTOR_KERNEL void relu_backward(const float* y, const float* dy, int64_t n, float* dx) {
  for (int64_t i = 0; i < n; ++i) dx[i] = y[i] > 0 ? dy[i] : 0;
}

class ReluLayer final : public Layer {
 public:
  explicit ReluLayer(LayerBuilder& builder)
      : elements_(builder.rows() * builder.output().extent.elements()) {}

  Work work(const Step& step, const Arrays& arrays) override {
    const Activations y = arrays.activations(step.y);
    if (step.pass == Pass::forward) {
      return [this, x = arrays.activations(step.x[0]), y] {
        for_float_chunks(elements_, [&](FloatChunk& chunk) {
          relu(chunk.read(x), chunk.size(), chunk.result());
          chunk.write(chunk.result(), y);
        });
      };
    }
    return [this, y, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0])] {
      for_float_chunks(elements_, [&](FloatChunk& chunk) {
        relu_backward(chunk.read(y), chunk.read(dy), chunk.size(), chunk.result());
        chunk.write(chunk.result(), dx);
      });
    };
  }

 private:
  int64_t elements_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Relu&, LayerBuilder& builder) {
  return std::make_unique<ReluLayer>(builder);
}

}  // namespace hardmoe::cpu
