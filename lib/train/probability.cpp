#include "train/probability.h"

#include <algorithm>
#include <cmath>

#include "base/folders.h"
#include "train/decoder_folder.h"
#include "train/model_folder.h"

namespace hardmoe {
LossKind loss_of(const std::filesystem::path& folder) {
  if (path_exists(folder / "model.yaml")) return load_model_card(folder).loss;
  if (path_exists(folder / "decoder.yaml")) return load_decoder_card(folder).loss;
  return loss_in_stage(folder);
}

void add_probabilities(LossKind loss, std::span<const float> logits, float weight, float* out) {
  if (loss == LossKind::sigmoid) {
    for (size_t j = 0; j < logits.size(); ++j) out[j] += weight / (1 + std::exp(-logits[j]));
    return;
  }
  const float top = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (const float z : logits) total += static_cast<double>(std::exp(z - top));
  for (size_t j = 0; j < logits.size(); ++j) {
    out[j] += weight * static_cast<float>(static_cast<double>(std::exp(logits[j] - top)) / total);
  }
}

void log_probabilities(LossKind loss, std::span<const float> logits, float* out) {
  if (loss == LossKind::sigmoid) {
    for (size_t j = 0; j < logits.size(); ++j) {
      const auto z = static_cast<double>(logits[j]);
      out[j] = static_cast<float>(std::min(z, 0.0) - std::log1p(std::exp(-std::abs(z))));
    }
    return;
  }
  const auto top = std::max_element(logits.begin(), logits.end());
  double others = 0;  // Σ e^(z - top) without the top one, so that log P near 0 is exact
  for (auto z = logits.begin(); z != logits.end(); ++z) {
    if (z != top) others += std::exp(static_cast<double>(*z) - static_cast<double>(*top));
  }
  const double shift = std::log1p(others);
  for (size_t j = 0; j < logits.size(); ++j) {
    out[j] = static_cast<float>(static_cast<double>(logits[j]) - static_cast<double>(*top) - shift);
  }
}

}  // namespace hardmoe
