#include "engine/ops/combine.h"

#include <vector>

#include "base/simd.h"
#include "base/threads.h"
#include "engine/cpu/layer.h"
#include "engine/cpu/routing.h"
#include "engine/cpu/vector.h"

namespace hardmoe::cpu {
namespace {

/// sum += factor·x.
HARDMOE_VECTOR_KERNEL void add_scaled(const float* x, float factor, int64_t n, float* sum) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(sum + i, load(sum + i) + factor * load(x + i));
  for (; i < n; ++i) sum[i] += factor * x[i];
}

HARDMOE_VECTOR_KERNEL float inner_product(const float* x, const float* y, int64_t n) {
  Vec sums = {};
  float rest = 0;
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) sums += load(x + i) * load(y + i);
  for (; i < n; ++i) rest += x[i] * y[i];
  return sum(sums) + rest;
}

class CombineLayer final : public Layer {
 public:
  explicit CombineLayer(LayerBuilder& builder)
      : layout_{builder.input(1).planned_rows(builder.batch()), builder.input(1).extent.channels,
                chosen_of(builder.input(2), builder.input(1).extent.channels)},
        row_(builder.output().extent.elements()) {}

  Work work(const Step& step, const Arrays& arrays) override {
    const Activations y = arrays.activations(step.x[0]);
    const float* gates = arrays.floats(step.x[1]);
    const Routing routing(reinterpret_cast<const int32_t*>(arrays.at(step.x[2])), layout_);
    if (step.pass == Pass::forward) {
      return [=, this, out = arrays.activations(step.y)] { sum_up(routing, y, gates, out); };
    }
    return [=, this, dy = arrays.activations(step.dy), d_rows = arrays.activations(step.dx[0]),
            d_gates = arrays.activations(step.dx[1])] {
      clear_unused(d_rows, layout_, routing, row_);
      differentiate(routing, y, gates, dy, d_rows, d_gates);
    };
  }

 private:
  static constexpr int64_t grain = 4;

  /// The row's numbers as float32, where they lie or converted into `room`.
  const float* read(Activations array, int64_t row, std::vector<float>& room) const {
    const Activations from = from_element(array, row * row_);
    if (from.precision != Precision::bf16) return static_cast<const float*>(from.data);
    to_float(from, row_, room.data());
    return room.data();
  }

  /// Calls visit(expert, routed row) for a row's choices. Experts' numbers ascend, and a routed row is
  /// of the expert within whose range it lies.
  template <class Visit>
  void for_choices(const Routing& routing, int64_t row, const Visit& visit) const {
    const int32_t* slots = routing.slots(row);
    int64_t expert = 0;
    for (int64_t choice = 0; choice < layout_.chosen && slots[choice] >= 0; ++choice) {
      while (slots[choice] >= routing.first(expert) + routing.rows(expert)) ++expert;
      visit(expert, slots[choice]);
    }
  }

  void sum_up(const Routing& routing, Activations y, const float* gates, Activations out) const {
    parallel_for(layout_.rows, grain, [&](int64_t begin, int64_t end) {
      std::vector<float> sum(static_cast<size_t>(row_)), room(static_cast<size_t>(row_));
      for (int64_t row = begin; row < end; ++row) {
        std::fill(sum.begin(), sum.end(), 0.0F);
        for_choices(routing, row, [&](int64_t expert, int64_t slot) {
          const float gate = gates[row * layout_.experts + expert];
          add_scaled(read(y, slot, room), gate, row_, sum.data());
        });
        from_float(sum.data(), row_, from_element(out, row * row_));
      }
    });
  }

  void differentiate(const Routing& routing, Activations y, const float* gates, Activations dy,
                     Activations d_rows, Activations d_gates) const {
    parallel_for(layout_.rows, grain, [&](int64_t begin, int64_t end) {
      std::vector<float> slope_room(static_cast<size_t>(row_)), room(static_cast<size_t>(row_));
      std::vector<float> scaled(static_cast<size_t>(row_));
      std::vector<float> gate_slopes(static_cast<size_t>(layout_.experts));
      for (int64_t row = begin; row < end; ++row) {
        const float* slope = read(dy, row, slope_room);
        std::fill(gate_slopes.begin(), gate_slopes.end(), 0.0F);
        for_choices(routing, row, [&](int64_t expert, int64_t slot) {
          gate_slopes[static_cast<size_t>(expert)] =
              inner_product(slope, read(y, slot, room), row_);
          if (!d_rows) return;
          std::fill(scaled.begin(), scaled.end(), 0.0F);
          add_scaled(slope, gates[row * layout_.experts + expert], row_, scaled.data());
          from_float(scaled.data(), row_, from_element(d_rows, slot * row_));
        });
        if (!d_gates) continue;
        from_float(gate_slopes.data(), layout_.experts,
                   from_element(d_gates, row * layout_.experts));
      }
    });
  }

  RoutingLayout layout_;
  int64_t row_;  ///< elements of a row
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Combine&, LayerBuilder& builder) {
  return std::make_unique<CombineLayer>(builder);
}

}  // namespace hardmoe::cpu
