#include "engine/ops/load_loss.h"

#include <array>

#include "engine/cpu/gate_rows.h"
#include "engine/cpu/layer.h"

namespace hardmoe::cpu {
namespace {

class LoadLossLayer final : public Layer {
 public:
  LoadLossLayer(const LoadLoss& op, LayerBuilder& builder)
      : op_(op),
        rows_(builder.rows()),
        experts_(static_cast<int>(builder.input().extent.channels)),
        sums_(rows_, experts_),
        slopes_(static_cast<size_t>(experts_)),
        probabilities_(static_cast<size_t>(rows_ * experts_)) {}

  Work work(const Step& step, const Arrays& arrays) override {
    const float* sigma = step.x.size() > 2 ? arrays.floats(step.x[2]) : nullptr;
    const LoadRow rows =
        op_.first_row(arrays.floats(step.x[0]), arrays.floats(step.x[1]), sigma, experts_);
    std::array<Activations, 3> gradients;  // of clean and noisy logits and σ; those that are wanted
    for (size_t i = 0; i < step.dx.size(); ++i) gradients[i] = arrays.activations(step.dx[i]);
    return [this, rows, gradients, &running = arrays.running()] {
      for_gate_rows(rows_, [&](int64_t row) {
        const LoadRow load = rows.at(row * experts_);
        float* p = probabilities_.data() + row * experts_;
        for (int i = 0; i < experts_; ++i) p[i] = load.probability(i);
      });
      running.loss_sums[static_cast<size_t>(op_.number)] += squared_variation(
          sums_.of(probabilities_.data()), experts_, 0, 0, double{op_.spec.weight}, slopes_.data());
      for (const Activations& wanted : gradients) {
        if (!wanted) continue;
        with_gate_numbers(wanted,
                          [&](const auto& numbers) { differentiate(rows, gradients, numbers); });
        break;  // all of them at once
      }
    };
  }

 private:
  /// Writes the gradients, which all have the type of `Numbers`.
  template <class T>
  void differentiate(const LoadRow& rows, const std::array<Activations, 3>& gradients,
                     GateNumbers<T>) const {
    const auto of = [&](size_t i, int64_t row) {
      return GateNumbers<T>{static_cast<T*>(gradients[i].data)}.from(row * experts_);
    };
    for_gate_rows(rows_, [&](int64_t row) {
      rows.at(row * experts_).differentiate(slopes_.data(), of(0, row), of(1, row), of(2, row));
    });
  }

  LoadLoss op_;
  int64_t rows_;
  int experts_;
  GateSums sums_;
  std::vector<float> slopes_;         ///< of each expert's sum
  std::vector<float> probabilities_;  ///< rows×experts
};

}  // namespace

std::unique_ptr<Layer> make_layer(const LoadLoss& op, LayerBuilder& builder) {
  return std::make_unique<LoadLossLayer>(op, builder);
}

}  // namespace hardmoe::cpu
