#include "engine/ops/global_avg_pool.h"

#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

class GlobalAvgPoolLayer final : public Layer {
 public:
  explicit GlobalAvgPoolLayer(LayerBuilder& builder)
      : images_(builder.options().batch),
        channels_(builder.held(builder.input_value())),
        positions_(builder.rows() / images_ * builder.input().extent.positions()) {}

  Work work(const Step& step, const Arrays& arrays, int) override {
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      return [=, this, x = arrays.activations(step.x[0]), y = arrays.floats(step.y)] {
        average_pool(x, images_, positions_, channels_, y, stream);
      };
    }
    return [=, this, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0])] {
      average_pool_backward(dy, images_, positions_, channels_, dx, stream);
    };
  }

 private:
  int64_t images_, channels_, positions_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const GlobalAvgPool&, LayerBuilder& builder) {
  return std::make_unique<GlobalAvgPoolLayer>(builder);
}

}  // namespace hardmoe::cuda
