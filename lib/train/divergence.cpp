#include "train/divergence.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "engine/network_facts.h"

namespace hardmoe {
namespace {

/// Returns the most that a loss of gates can be without its weight: if all rows choose one expert.
double most_of_gates(const LossSpec& loss, const std::vector<ValueType>& types) {
  const auto experts =
      static_cast<double>(types.at(static_cast<size_t>(loss.value)).extent.channels);
  if (loss.kind == LossKind::divergence) return std::log(experts);
  return loss.ddof == 1 ? experts : experts - 1;
}

/// Returns the sum of the losses, each times its weight, of a network that scores all tags equally
/// (sigmoid: one half each). Against a teacher, and of gates, it is the most that this can be.
double loss_of_equal_scores(const std::vector<LossSpec>& losses, const Network& network) {
  const auto count = static_cast<double>(logits_size(network));
  const auto types = value_types(network);
  double sum = 0;
  for (const LossSpec& loss : losses) {
    if (is_of_gates(loss.kind)) {
      sum += double{loss.weight} * most_of_gates(loss, types);
      continue;
    }
    const double one = loss.kind == LossKind::softmax ? std::log(count) : count * std::log(2.0);
    const double softened = loss.teacher < 0 ? 1 : std::pow(double{loss.temperature}, 2);
    sum += double{loss.weight} * softened * one;
  }
  return sum;
}

}  // namespace

void fail_diverged(const TrainConfig& config, int64_t step, double epoch) {
  fail(
      "training diverged: loss or weights are not finite at step {} (epoch {:.2f}); lower lr (now "
      "{}) or lengthen warmup (now {})",
      step, epoch, config.lr, config.warmup);
}

bool are_finite(const StateDict& weights) {
  return std::all_of(weights.begin(), weights.end(), [](const auto& entry) {
    const auto values = entry.second.template as<float>();
    return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
  });
}

void require_learned(const FinalLoss& loss, const std::vector<LossSpec>& losses,
                     const Network& network, const TrainConfig& config) {
  constexpr int64_t first_steps = 20;
  const double equal = loss_of_equal_scores(losses, network);
  const bool begins = network.input == InputKind::image && loss.step < first_steps;
  if (std::min(loss.mean, loss.last) > (begins ? 10 * equal + 10 : 2 * equal + 1)) {
    fail(
        "training diverged: at step {} (epoch {:.2f}) the loss is {:.4g}, where equal scores for "
        "all tags have {:.3g}; lower lr (now {}) or lengthen warmup (now {})",
        loss.step, loss.epoch, loss.last, equal, config.lr, config.warmup);
  }
  if (loss.mean > 1.25 * equal + 0.25) {
    log_warning(
        "the final loss, {:.4g}, is above that of equal scores for all tags, {:.3g}: nothing was "
        "learned; lower lr (now {}) or train for more epochs (now {})",
        loss.mean, equal, config.lr, config.epochs);
  }
}

}  // namespace hardmoe
