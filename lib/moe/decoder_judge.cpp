#include "moe/decoder_judge.h"

#include <algorithm>
#include <utility>

#include "base/signals.h"
#include "moe/unified_embedding.h"
#include "train/selection_judge.h"

namespace hardmoe {
namespace {

constexpr int64_t rows_at_a_time = 128;

}  // namespace

DecoderJudge::DecoderJudge(Engine& engine, const Split& split, Tensor rows, LossKind loss,
                           Precision precision)
    : engine_(engine), split_(split), rows_(std::move(rows)), loss_(loss), precision_(precision) {}

Judgment DecoderJudge::of(const StateDict& weights) {
  DecoderScores scores(engine_, weights, precision_, rows_at_a_time);
  JudgmentSum sum(loss_);
  const std::span<const float> values = rows_.as<float>();
  const auto width = static_cast<size_t>(scores.width());
  for (int64_t first = 0; first < rows_.size(0); first += rows_at_a_time) {
    throw_if_interrupted();
    const int64_t count = std::min(rows_at_a_time, rows_.size(0) - first);
    std::copy_n(values.data() + static_cast<size_t>(first) * width,
                static_cast<size_t>(count) * width, scores.rows());
    const std::span<const float> logits = scores.score(count);
    const size_t tags = logits.size() / static_cast<size_t>(count);
    for (int64_t i = 0; i < count; ++i) {
      sum.add(logits.subspan(static_cast<size_t>(i) * tags, tags), split_.tags(first + i));
    }
  }
  return sum.result();
}

}  // namespace hardmoe
