#include "moe/tally.h"

#include <algorithm>
#include <limits>

#include "train/probability.h"
#include "train/tag_precision.h"

namespace hardmoe {
namespace {

RankingMetrics with(const TagPrecision& precision, RankingMetrics metrics) {
  metrics.mean_average_precision = precision.mean;
  metrics.ranked_tags = precision.tags;
  return metrics;
}

}  // namespace

Tally::Tally(const Split& split, int64_t experts, int64_t tags) : split_(split), rows_(tags) {
  kinds_.push_back({"tags", {}});
  if (split.has_truth()) kinds_.push_back({"truth", {}});
  for (auto& kind : kinds_) {
    kind.parts.assign(static_cast<size_t>(std::max<int64_t>(experts, 1)),
                      MetricsAccumulator(evaluated_ks));
    for (const auto& metric : image_metrics(evaluated_ks)) {
      own_.columns.push_back(kind.name + " " + metric);
    }
  }
  images_.resize(static_cast<size_t>(experts));
  own_.values = Tensor::uninitialized(DType::f32, {split.size(), std::ssize(own_.columns)});
  std::ranges::fill(own_.values.as<float>(), std::numeric_limits<float>::quiet_NaN());
}

void Tally::add(int64_t item, size_t expert, std::span<const float> scores,
                std::span<const float> comparable) {
  const size_t columns = own_.columns.size(), each = columns / kinds_.size();
  const auto own = own_.values.as<float>().subspan(static_cast<size_t>(item) * columns, columns);
  kinds_[0].parts[expert].add(scores, split_.tags(item), own.first(each));
  if (kinds_.size() > 1) kinds_[1].parts[expert].add(scores, split_.truth(item), own.last(each));
  if (!images_.empty()) ++images_[expert];
  rows_.add(comparable);
  items_.push_back(item);
  experts_.push_back(static_cast<uint16_t>(expert));
}

void Tally::add(int64_t item, size_t expert, std::span<const float> logits, LossKind loss) {
  row_.resize(logits.size());
  log_probabilities(loss, logits, row_.data());
  add(item, expert, logits, row_);
}

Evaluation Tally::result() const {
  Evaluation evaluation;
  evaluation.expert_images = images_;
  evaluation.images = own_;
  for (const auto& kind : kinds_) {
    const bool truth = kind.name == "truth";
    const auto tags_of = [&](int64_t row) {
      const int64_t item = items_[static_cast<size_t>(row)];
      return truth ? split_.truth(item) : split_.tags(item);
    };
    const auto precision = tag_precision(rows_, tags_of, experts_, std::ssize(images_));
    LabelMetrics metrics{kind.name, {}, {}};
    MetricsAccumulator total(evaluated_ks);
    for (size_t k = 0; k < kind.parts.size(); ++k) {
      total.merge(kind.parts[k]);
      if (images_.empty()) continue;
      metrics.by_expert.push_back(with(precision[k], kind.parts[k].result()));
    }
    metrics.all = with(precision.back(), total.result());
    evaluation.labels.push_back(std::move(metrics));
  }
  return evaluation;
}

}  // namespace hardmoe
