#include "moe/metrics.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/simd.h"

namespace hardmoe {
namespace {

constexpr double unit = 4294967296.0;  // 2³²: sums of fractions are exact for 2³¹ images

HARDMOE_VECTOR_KERNEL
int64_t count_above(const float* scores, int64_t count, float score) {
  int32_t above = 0;
  for (int64_t i = 0; i < count; ++i) above += scores[i] > score ? 1 : 0;
  return above;
}

HARDMOE_VECTOR_KERNEL
int64_t count_not_below(const float* scores, int64_t count, float score) {
  int32_t found = 0;
  for (int64_t i = 0; i < count; ++i) found += scores[i] >= score ? 1 : 0;
  return found;
}

HARDMOE_VECTOR_KERNEL
int64_t count_nan(const float* scores, int64_t count) {
  int32_t found = 0;
  for (int64_t i = 0; i < count; ++i) found += scores[i] != scores[i] ? 1 : 0;
  return found;
}

uint64_t fraction(double value) { return static_cast<uint64_t>(std::llround(value * unit)); }

std::string text_of(double share) { return fmt::format("{:.3f}", share); }

}  // namespace

MetricsAccumulator::MetricsAccumulator(std::vector<int> ks) : ks_(std::move(ks)) {
  std::sort(ks_.begin(), ks_.end());
  ks_.erase(std::unique(ks_.begin(), ks_.end()), ks_.end());
  if (ks_.empty() || ks_.front() < 1) {
    fail_usage("metrics at k: expected one or more k of 1 or above");
  }
  sums_.resize(ks_.size());
}

void MetricsAccumulator::add(std::span<const float> scores, std::span<const int32_t> tags) {
  if (tags.empty()) {
    ++without_tags_;
    return;
  }
  const auto total = static_cast<int64_t>(scores.size());
  if (tags.front() < 0 || tags.back() >= total) {
    fail("an image has tag {}, the model scores tags 0 to {}",
         tags.front() < 0 ? tags.front() : tags.back(), total - 1);
  }
  if (const int64_t nan = count_nan(scores.data(), total); nan > 0) {
    fail("{} of {} scores of an image are not numbers: the model has diverged", nan, total);
  }
  // A tag's rank is 1 + the tags before it: for the few tags of an image, cheaper than sorting V
  // scores.
  ranks_.clear();
  for (const int32_t tag : tags) {
    const float score = scores[static_cast<size_t>(tag)];
    ranks_.push_back(1 + count_not_below(scores.data(), tag, score) +
                     count_above(scores.data() + tag + 1, total - tag - 1, score));
  }
  std::sort(ranks_.begin(), ranks_.end());
  double precision_sum = 0;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    precision_sum += static_cast<double>(i + 1) / static_cast<double>(ranks_[i]);
  }
  const auto own = static_cast<double>(tags.size());
  average_precision_ += fraction(precision_sum / own);
  for (size_t j = 0; j < ks_.size(); ++j) {
    const auto end = std::upper_bound(ranks_.begin(), ranks_.end(), int64_t{ks_[j]});
    const int64_t hits = end - ranks_.begin();
    sums_[j].hits += hits;
    sums_[j].images_hit += hits > 0 ? 1 : 0;
    sums_[j].recall += fraction(static_cast<double>(hits) / own);
  }
  tags_ += static_cast<int64_t>(tags.size());
  ++images_;
}

void MetricsAccumulator::merge(const MetricsAccumulator& other) {
  if (ks_ != other.ks_) fail("merging metrics at different k");
  for (size_t j = 0; j < sums_.size(); ++j) {
    sums_[j].hits += other.sums_[j].hits;
    sums_[j].images_hit += other.sums_[j].images_hit;
    sums_[j].recall += other.sums_[j].recall;
  }
  images_ += other.images_;
  without_tags_ += other.without_tags_;
  tags_ += other.tags_;
  average_precision_ += other.average_precision_;
}

RankingMetrics MetricsAccumulator::result() const {
  RankingMetrics result;
  result.images = images_;
  result.without_tags = without_tags_;
  const double images = static_cast<double>(std::max<int64_t>(images_, 1));
  const double tags = static_cast<double>(std::max<int64_t>(tags_, 1));
  result.mean_average_precision = static_cast<double>(average_precision_) / unit / images;
  for (size_t j = 0; j < ks_.size(); ++j) {
    const auto hits = static_cast<double>(sums_[j].hits);
    result.at.push_back({.k = ks_[j],
                         .precision = hits / images / ks_[j],
                         .recall_macro = static_cast<double>(sums_[j].recall) / unit / images,
                         .recall_micro = hits / tags,
                         .hit = static_cast<double>(sums_[j].images_hit) / images});
  }
  return result;
}

Json metrics_json(const RankingMetrics& metrics) {
  Json json = {{"images", metrics.images},
               {"without_tags", metrics.without_tags},
               {"mAP", metrics.mean_average_precision}};
  for (const MetricsAtK& at : metrics.at) {
    json[fmt::format("P@{}", at.k)] = at.precision;
    json[fmt::format("R@{}", at.k)] = at.recall_macro;
    json[fmt::format("R@{}_micro", at.k)] = at.recall_micro;
    json[fmt::format("hit@{}", at.k)] = at.hit;
  }
  return json;
}

std::vector<std::string> metrics_heading(const std::vector<int>& ks, const std::string& what) {
  std::vector<std::string> row = {what, "images", "mAP %"};
  for (const char* name : {"P@", "R@", "hit@"}) {
    for (const int k : ks) row.push_back(fmt::format("{}{}", name, k));
  }
  return row;
}

std::vector<std::string> metrics_row(const std::string& name, const RankingMetrics& metrics) {
  std::vector<std::string> row = {name, std::to_string(metrics.images),
                                  text_of(metrics.mean_average_precision)};
  for (const MetricsAtK& at : metrics.at) row.push_back(text_of(at.precision));
  for (const MetricsAtK& at : metrics.at) row.push_back(text_of(at.recall_macro));
  for (const MetricsAtK& at : metrics.at) row.push_back(text_of(at.hit));
  return row;
}

std::vector<int32_t> top_k(std::span<const float> scores, int64_t k) {
  const auto before = [scores](int32_t a, int32_t b) {
    const float x = scores[static_cast<size_t>(a)], y = scores[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  };
  // A heap of the best k so far, its worst on top; most scores are turned away by one comparison.
  std::vector<int32_t> best;
  const auto wanted = static_cast<size_t>(std::max<int64_t>(k, 0));
  if (wanted == 0) return best;
  best.reserve(std::min(wanted, scores.size()));
  for (size_t i = 0; i < scores.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    if (best.size() < wanted) {
      best.push_back(id);
      std::push_heap(best.begin(), best.end(), before);
    } else if (scores[i] > scores[static_cast<size_t>(best.front())]) {
      std::pop_heap(best.begin(), best.end(), before);
      best.back() = id;
      std::push_heap(best.begin(), best.end(), before);
    }
  }
  std::sort_heap(best.begin(), best.end(), before);
  return best;
}

}  // namespace hardmoe
