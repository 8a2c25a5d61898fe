#include "engine/ops/add.h"

#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

class AddLayer final : public Layer {
 public:
  explicit AddLayer(LayerBuilder& builder) : elements_(builder.held_elements()) {}

  Work work(const Step& step, const Arrays& arrays, int) override {
    const Stream stream = arrays.stream();
    if (step.pass == Pass::forward) {
      const Activations a = arrays.activations(step.x[0]), b = arrays.activations(step.x[1]);
      return [=, this, y = arrays.activations(step.y)] { add(a, b, elements_, y, stream); };
    }
    return [=, this, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0])] {
      copy(dy, elements_, dx, stream);
    };
  }

 private:
  int64_t elements_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Add&, LayerBuilder& builder) {
  return std::make_unique<AddLayer>(builder);
}

}  // namespace hardmoe::cuda
