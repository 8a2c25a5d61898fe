#include "engine/ops/add.h"

#include "engine/cpu/float_chunks.h"
#include "engine/cpu/layer.h"

namespace hardmoe::cpu {
namespace {

class AddLayer final : public Layer {
 public:
  explicit AddLayer(LayerBuilder& builder)
      : elements_(builder.rows() * builder.output().extent.elements()) {}

  Work work(const Step& step, const Arrays& arrays) override {
    if (step.pass == Pass::forward) {
      const Activations a = arrays.activations(step.x[0]), b = arrays.activations(step.x[1]);
      return [=, this, y = arrays.activations(step.y)] {
        for_float_chunks(elements_, [&](FloatChunk& chunk) {
          float* sum = chunk.copy(a);
          add_to(sum, chunk.read(b), chunk.size());
          chunk.write(sum, y);
        });
      };
    }
    return [this, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0])] {
      copy_activations(dy, elements_, dx);
    };
  }

 private:
  int64_t elements_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Add&, LayerBuilder& builder) {
  return std::make_unique<AddLayer>(builder);
}

}  // namespace hardmoe::cpu
