#include "engine/ops/route.h"

#include <vector>

#include "engine/cpu/layer.h"
#include "engine/ops/routing.h"

namespace hardmoe::cpu {
namespace {

class RouteLayer final : public Layer {
 public:
  RouteLayer(const Route& op, LayerBuilder& builder)
      : layout_{builder.rows(), builder.input().extent.channels, op.chosen},
        training_(builder.training()),
        usage_(builder.parameter(".usage")),
        next_(static_cast<size_t>(layout_.experts)) {}

  Work work(const Step& step, const Arrays& arrays) override {
    return [this, gates = arrays.floats(step.x[0]), usage = arrays.weights(usage_),
            routing = reinterpret_cast<int32_t*>(arrays.at(step.y))] {
      count(gates, routing);
      give_slots(gates, routing);
      if (training_) note_usage(routing, usage);
    };
  }

 private:
  /// Calls take(row, expert, number of the choice) for the chosen experts of every row: the first k
  /// whose gates are not zero.
  template <class Take>
  void for_choices(const float* gates, const Take& take) const {
    for (int64_t row = 0; row < layout_.rows; ++row) {
      const float* gate = gates + row * layout_.experts;
      int64_t choice = 0;
      for (int64_t e = 0; e < layout_.experts && choice < layout_.chosen; ++e) {
        if (gate[e] != 0) take(row, e, choice++);
      }
    }
  }

  void count(const float* gates, int32_t* offsets) {
    std::fill_n(offsets, layout_.experts + 1, 0);
    for_choices(gates, [&](int64_t, int64_t e, int64_t) { ++offsets[e + 1]; });
    for (int64_t e = 0; e < layout_.experts; ++e) offsets[e + 1] += offsets[e];
  }

  void give_slots(const float* gates, int32_t* routing) {
    int32_t* slots = routing + layout_.slots();
    int32_t* sources = routing + layout_.sources();
    std::fill_n(slots, 2 * layout_.routed_rows(), -1);
    std::copy_n(routing, next_.size(), next_.data());
    for_choices(gates, [&](int64_t row, int64_t e, int64_t choice) {
      const int32_t slot = next_[static_cast<size_t>(e)]++;
      slots[row * layout_.chosen + choice] = slot;
      sources[slot] = static_cast<int32_t>(row);
    });
  }

  void note_usage(const int32_t* offsets, float* usage) const {
    const auto choices = static_cast<float>(layout_.routed_rows());
    for (int64_t e = 0; e < layout_.experts; ++e) {
      const float share = static_cast<float>(offsets[e + 1] - offsets[e]) / choices;
      usage[e] += Route::usage_momentum * (share - usage[e]);
    }
  }

  RoutingLayout layout_;
  bool training_;
  int usage_;
  std::vector<int32_t> next_;  ///< by expert: its next free routed row
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Route& op, LayerBuilder& builder) {
  return std::make_unique<RouteLayer>(op, builder);
}

}  // namespace hardmoe::cpu
