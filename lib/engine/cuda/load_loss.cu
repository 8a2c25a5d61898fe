#include "engine/ops/load_loss.h"

#include <array>

#include "engine/cuda/gate_rows.cuh"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {
namespace {

struct FindProbabilities {
  LoadRow first;
  int64_t held;
  float* probabilities;  ///< rows×held

  __device__ __forceinline__ void operator()(int64_t row) const {
    const LoadRow load = first.at(row * held);
    for (int i = 0; i < held; ++i) {
      probabilities[row * held + i] = i < first.experts ? load.probability(i) : 0.0F;
    }
  }
};

/// By one thread: experts are few.
struct LossOfSums {
  const float* sums;
  int experts;
  double weight;
  float* slopes;
  double* loss_sum;

  __device__ __forceinline__ void operator()(int64_t) const {
    *loss_sum += squared_variation(sums, experts, 0, 0, weight, slopes);
  }
};

template <class T>
struct DifferentiateLoad {
  LoadRow first;
  int64_t held;
  const float* slopes;
  GateNumbers<T> d_clean, d_noisy, d_sigma;

  __device__ __forceinline__ void operator()(int64_t row) const {
    const int64_t at = row * held;
    first.at(at).differentiate(slopes, d_clean.from(at), d_noisy.from(at), d_sigma.from(at));
    for (const GateNumbers<T>& gradient : {d_clean, d_noisy, d_sigma}) {
      for (int i = first.experts; gradient && i < held; ++i) gradient.from(at).set(i, 0);
    }
  }
};

class LoadLossLayer final : public Layer {
 public:
  LoadLossLayer(const LoadLoss& op, LayerBuilder& builder)
      : op_(op),
        rows_(builder.rows()),
        experts_(static_cast<int>(builder.input().extent.channels)),
        held_(builder.held(builder.input_value())) {
    builder.need_workspace(4 * (rows_ + 2) * held_);
  }

  Work work(const Step& step, const Arrays& arrays, int) override {
    const float* sigma = step.x.size() > 2 ? arrays.floats(step.x[2]) : nullptr;
    const LoadRow rows =
        op_.first_row(arrays.floats(step.x[0]), arrays.floats(step.x[1]), sigma, experts_);
    std::array<Activations, 3> gradients;  // of clean and noisy logits and σ; those that are wanted
    for (size_t i = 0; i < step.dx.size(); ++i) gradients[i] = arrays.activations(step.dx[i]);
    float* sums = arrays.workspace();
    float* slopes = sums + held_;
    float* probabilities = slopes + held_;
    const LossOfSums loss = {sums, experts_, double{op_.spec.weight}, slopes,
                             arrays.loss_sum(op_.number)};
    return [=, this, stream = arrays.stream()] {
      for_gate_rows("loss", rows_, FindProbabilities{rows, held_, probabilities}, stream);
      sum_gates(probabilities, rows_, held_, sums, stream);
      for_gate_rows("loss", 1, loss, stream);
      for (const Activations& wanted : gradients) {
        if (!wanted) continue;
        with_type(wanted, [&]<class T>(T*) { differentiate<T>(rows, slopes, gradients, stream); });
        break;  // all of them at once
      }
    };
  }

 private:
  /// Writes the gradients, which are all of type T.
  template <class T>
  void differentiate(const LoadRow& rows, const float* slopes,
                     const std::array<Activations, 3>& gradients, Stream stream) const {
    const auto of = [&](size_t i) { return GateNumbers<T>{static_cast<T*>(gradients[i].data)}; };
    for_gate_rows("loss", rows_, DifferentiateLoad<T>{rows, held_, slopes, of(0), of(1), of(2)},
                  stream);
  }

  LoadLoss op_;
  int64_t rows_;
  int experts_;
  int64_t held_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const LoadLoss& op, LayerBuilder& builder) {
  return std::make_unique<LoadLossLayer>(op, builder);
}

}  // namespace hardmoe::cuda
