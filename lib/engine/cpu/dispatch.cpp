#include "engine/ops/dispatch.h"

#include <vector>

#include "base/threads.h"
#include "engine/cpu/layer.h"
#include "engine/cpu/routing.h"

namespace hardmoe::cpu {
namespace {

class DispatchLayer final : public Layer {
 public:
  DispatchLayer(const Dispatch& op, LayerBuilder& builder)
      : layout_{builder.rows(), op.experts, chosen_of(builder.input(1), op.experts)},
        row_(builder.input().extent.elements()) {}

  Work work(const Step& step, const Arrays& arrays) override {
    const bool forward = step.pass == Pass::forward;
    const Routing routing(
        reinterpret_cast<const int32_t*>(arrays.at(forward ? step.x[1] : step.x[0])), layout_);
    if (forward) {
      return [this, routing, x = arrays.activations(step.x[0]), y = arrays.activations(step.y)] {
        copy_rows(routing, x, y);
      };
    }
    return [this, routing, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0])] {
      sum_copies(routing, dy, dx);
    };
  }

 private:
  static constexpr int64_t grain = 4;

  void copy_rows(const Routing& routing, Activations x, Activations y) const {
    const auto bytes = static_cast<size_t>(row_ * (x.precision == Precision::bf16 ? 2 : 4));
    parallel_for(routing.used(), grain, [&](int64_t begin, int64_t end) {
      for (int64_t slot = begin; slot < end; ++slot) {
        std::memcpy(from_element(y, slot * row_).data,
                    from_element(x, routing.source(slot) * row_).data, bytes);
      }
    });
    clear_unused(y, layout_, routing, row_);
  }

  void sum_copies(const Routing& routing, Activations dy, Activations dx) const {
    parallel_for(layout_.rows, grain, [&](int64_t begin, int64_t end) {
      std::vector<float> sum(static_cast<size_t>(row_)), term(static_cast<size_t>(row_));
      for (int64_t row = begin; row < end; ++row) {
        std::fill(sum.begin(), sum.end(), 0.0F);
        const int32_t* slots = routing.slots(row);
        for (int64_t choice = 0; choice < layout_.chosen && slots[choice] >= 0; ++choice) {
          to_float(from_element(dy, slots[choice] * row_), row_, term.data());
          add_to(sum.data(), term.data(), row_);
        }
        from_float(sum.data(), row_, from_element(dx, row * row_));
      }
    });
  }

  RoutingLayout layout_;
  int64_t row_;  ///< elements of a row
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Dispatch& op, LayerBuilder& builder) {
  return std::make_unique<DispatchLayer>(op, builder);
}

}  // namespace hardmoe::cpu
