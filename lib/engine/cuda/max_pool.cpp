#include "engine/ops/max_pool.h"

#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

class MaxPoolLayer final : public Layer {
 public:
  MaxPoolLayer(const hardmoe::MaxPool& op, LayerBuilder& builder) {
    const Extent &in = builder.input().extent, &out = builder.output().extent;
    pool_ = {builder.rows(),   in.height, in.width,         builder.held(builder.input_value()),
             out.height,       out.width, op.window.kernel, op.window.stride,
             op.window.padding};
  }

  /// One byte an element of the output: which element of its window won.
  int64_t saved_bytes() const override {
    return pool_.n * pool_.out_height * pool_.out_width * pool_.channels;
  }

  Work work(const Step& step, const Arrays& arrays, int) override {
    auto* winners = step.saved < 0 ? nullptr : static_cast<uint8_t*>(arrays.at(step.saved));
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      return [=, this, x = arrays.activations(step.x[0]), y = arrays.activations(step.y)] {
        max_pool(pool_, x, y, winners, stream);
      };
    }
    return [=, this, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0])] {
      max_pool_backward(pool_, dy, winners, dx, stream);
    };
  }

 private:
  MaxPoolShape pool_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const hardmoe::MaxPool& op, LayerBuilder& builder) {
  return std::make_unique<MaxPoolLayer>(op, builder);
}

}  // namespace hardmoe::cuda
