#include "engine/ops/capacity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "engine/cpu/gate_rows.h"
#include "engine/cpu/layer.h"
#include "engine/gate_choice.h"

namespace hardmoe::cpu {
namespace {

class CapacityLayer final : public Layer {
 public:
  CapacityLayer(const Capacity& op, LayerBuilder& builder)
      : op_(op),
        planned_(builder.rows()),
        an_image_(builder.input().planned_rows(1)),
        experts_(static_cast<int>(builder.output().extent.channels)),
        training_(builder.training()),
        choices_(static_cast<size_t>(planned_ * op.k)),
        largest_(static_cast<size_t>(planned_)),
        order_(static_cast<size_t>(planned_)),
        taken_(static_cast<size_t>(experts_)) {}

  Work work(const Step& step, const Arrays& arrays) override {
    float* y = arrays.floats(step.y);
    if (step.pass == Pass::backward) {
      return gate_gradient(y, arrays.activations(step.dy), planned_, experts_, false);
    }
    return [this, x = arrays.floats(step.x[0]), y, &running = arrays.running()] {
      const int64_t rows = running.batch->size * an_image_;
      std::fill(y + rows * experts_, y + planned_ * experts_, 0.0F);
      for_gate_rows(rows, [&](int64_t row) { find_choices(x, row, y); });
      const int64_t group = training_ ? rows : op_.group * an_image_;
      for (int64_t first = 0; first < rows; first += group) {
        serve(x, first, std::min(rows, first + group), y);
      }
    };
  }

 private:
  /// Notes the row's choices and its largest gate, and begins its output: 0, but for a NaN.
  void find_choices(const float* x, int64_t row, float* y) {
    const GateRow gates = {x + row * experts_, experts_};
    for (int i = 0; i < experts_; ++i) {
      const float gate = gates.at(i);
      y[row * experts_ + i] = std::isnan(gate) ? gate : 0;
    }
    int expert = next_choice(gates, -1);
    const float largest = gates.at(expert);
    largest_[static_cast<size_t>(row)] =
        std::isnan(largest) ? std::numeric_limits<float>::infinity() : largest;
    for (int choice = 0; choice < op_.k; ++choice) {
      const float gate = gates.at(expert);
      choices_[static_cast<size_t>(row * op_.k + choice)] =
          gate == 0 || std::isnan(gate) ? -1 : expert;
      if (choice + 1 < op_.k) expert = next_choice(gates, expert);
    }
  }

  /// Gives the choices of a group's rows room while there is some.
  void serve(const float* x, int64_t first, int64_t last, float* y) {
    const int64_t room = capacity_of(last - first, op_.k, op_.factor, experts_);
    const auto begin = order_.begin() + first, end = order_.begin() + last;
    std::iota(begin, end, first);
    if (op_.has_priority(training_)) {
      std::stable_sort(begin, end, [&](int64_t a, int64_t b) {
        return largest_[static_cast<size_t>(a)] > largest_[static_cast<size_t>(b)];
      });
    }
    std::fill(taken_.begin(), taken_.end(), 0);
    for (int choice = 0; choice < op_.k; ++choice) {
      for (auto row = begin; row != end; ++row) {
        const int expert = choices_[static_cast<size_t>(*row * op_.k + choice)];
        if (expert < 0 || taken_[static_cast<size_t>(expert)] == room) continue;
        ++taken_[static_cast<size_t>(expert)];
        y[*row * experts_ + expert] = x[*row * experts_ + expert];
      }
    }
  }

  Capacity op_;
  int64_t planned_, an_image_;  ///< rows
  int experts_;
  bool training_;
  std::vector<int> choices_;    ///< of each row k experts; -1: none
  std::vector<float> largest_;  ///< gate of each row
  std::vector<int64_t> order_;  ///< in which a group's rows are served
  std::vector<int64_t> taken_;  ///< room, of each expert
};

}  // namespace

std::unique_ptr<Layer> make_layer(const Capacity& op, LayerBuilder& builder) {
  return std::make_unique<CapacityLayer>(op, builder);
}

}  // namespace hardmoe::cpu
