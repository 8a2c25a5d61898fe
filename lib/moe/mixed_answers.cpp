#include "moe/mixed_answers.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "train/probability.h"

namespace hardmoe {

void add_answer(Mix mix, LossKind loss, std::span<const float> logits, float weight, float* out) {
  if (mix == Mix::arithmetic) return add_probabilities(loss, logits, weight, out);
  for (size_t j = 0; j < logits.size(); ++j) out[j] += weight * logits[j];
}

void normalise_answer(Mix mix, LossKind loss, std::span<float> sum) {
  if (mix == Mix::arithmetic) return;
  const std::vector<float> logits(sum.begin(), sum.end());
  log_probabilities(loss, logits, sum.data());
}

void to_logits(LossKind loss, std::span<float> probabilities) {
  for (float& value : probabilities) {
    const double p = std::max(static_cast<double>(value), 1e-30);
    const double others = loss == LossKind::sigmoid ? std::log1p(-std::min(p, 1 - 1e-7)) : 0;
    value = static_cast<float>(std::log(p) - others);
  }
}

}  // namespace hardmoe
