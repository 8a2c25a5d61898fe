#include "train/divergence.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "engine/network_facts.h"

namespace hardmoe {
namespace {

/// Returns the sum of the losses, each times its weight, of a network that scores all `tags` tags
/// equally (sigmoid: one half each). Against a teacher it is the most that this can be.
double loss_of_equal_scores(const std::vector<LossSpec>& losses, int64_t tags) {
  const auto count = static_cast<double>(tags);
  double sum = 0;
  for (const LossSpec& loss : losses) {
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
  const double equal = loss_of_equal_scores(losses, logits_size(network));
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
