#include "moe/base_share.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/signals.h"
#include "base/threads.h"
#include "moe/mixed_answers.h"

namespace hardmoe {
namespace {

constexpr double least = 1e-12;  // probabilities below count as this

/// Returns the loss of one image's answer, as image_loss() but of base and expert mixed. `mixed`: V
/// values, scratch.
double loss_of_mix(std::span<const float> logits, std::span<const int32_t> tags, Mix mix,
                   LossKind loss, float share, std::span<float> mixed) {
  const size_t width = mixed.size();
  std::ranges::fill(mixed, 0.0F);
  add_answer(mix, loss, logits.first(width), share, mixed.data());
  add_answer(mix, loss, logits.last(width), 1 - share, mixed.data());
  normalise_answer(mix, loss, mixed);
  const auto log_of = [&](size_t j) {
    const auto value = static_cast<double>(mixed[j]);
    return mix == Mix::geometric ? value : std::log(std::max(value, least));
  };
  double sum = 0;
  if (loss == LossKind::softmax) {
    for (const int32_t tag : tags) sum -= log_of(static_cast<size_t>(tag));
    return sum / static_cast<double>(tags.size());
  }
  for (size_t j = 0; j < width; ++j) {
    const bool own = std::ranges::binary_search(tags, static_cast<int32_t>(j));
    const double p = mix == Mix::geometric ? std::exp(static_cast<double>(mixed[j]))
                                           : static_cast<double>(mixed[j]);
    sum -= own ? log_of(j) : std::log(std::max(1 - p, least));
  }
  return sum;
}

}  // namespace

double fit_base_share(const ScoreRows& logits,
                      const std::function<std::span<const int32_t>(int64_t row)>& tags_of, Mix mix,
                      LossKind loss) {
  const auto width = static_cast<size_t>(logits.width());
  std::vector<double> losses(static_cast<size_t>(logits.size()));
  const auto mean_loss = [&](int thousandths) {
    const float share = static_cast<float>(thousandths) / 1000;
    logits.for_each([&](int64_t first, int64_t rows, std::span<const float> values) {
      throw_if_interrupted();
      parallel_for(rows, 16, [&](int64_t begin, int64_t end) {
        std::vector<float> mixed(width / 2);
        for (int64_t i = begin; i < end; ++i) {
          const auto tags = tags_of(first + i);
          losses[static_cast<size_t>(first + i)] =
              tags.empty() ? 0
                           : loss_of_mix(values.subspan(static_cast<size_t>(i) * width, width),
                                         tags, mix, loss, share, mixed);
        }
      });
    });
    return std::accumulate(losses.begin(), losses.end(), 0.0);
  };
  int low = 0, high = 1000;  // the least is in between: where the convex loss stops falling
  while (low < high) {
    const int middle = (low + high) / 2;
    if (mean_loss(middle) <= mean_loss(middle + 1)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low / 1000.0;
}

}  // namespace hardmoe
