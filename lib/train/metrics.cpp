#include "train/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

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
int64_t count_not_finite(const float* scores, int64_t count) {
  int32_t found = 0;
  for (int64_t i = 0; i < count; ++i) found += scores[i] - scores[i] != 0 ? 1 : 0;
  return found;
}

uint64_t fraction(double value) { return static_cast<uint64_t>(std::llround(value * unit)); }

}  // namespace

MetricsAccumulator::MetricsAccumulator(std::vector<int> ks) : ks_(std::move(ks)) {
  std::sort(ks_.begin(), ks_.end());
  ks_.erase(std::unique(ks_.begin(), ks_.end()), ks_.end());
  if (ks_.empty() || ks_.front() < 1) {
    fail_usage("metrics at k: expected one or more k of 1 or above");
  }
  sums_.resize(ks_.size());
}

std::vector<std::string> image_metrics(const std::vector<int>& ks) {
  std::vector<std::string> names = {"LRAP"};
  for (const char* name : {"P@", "R@", "hit@"}) {
    for (const int k : ks) names.push_back(fmt::format("{}{}", name, k));
  }
  return names;
}

void MetricsAccumulator::add(std::span<const float> scores, std::span<const int32_t> tags,
                             std::span<float> own) {
  if (tags.empty()) {
    ++without_tags_;
    std::ranges::fill(own, std::numeric_limits<float>::quiet_NaN());
    return;
  }
  const auto total = static_cast<int64_t>(scores.size());
  if (tags.front() < 0 || tags.back() >= total) {
    fail("an image has tag {}, but the model scores tags 0 to {}",
         tags.front() < 0 ? tags.front() : tags.back(), total - 1);
  }
  if (const int64_t bad = count_not_finite(scores.data(), total); bad > 0) {
    fail("{} of {} scores of an image are not finite numbers: the model has diverged", bad, total);
  }
  // Count the tags ranked before each of an image's few tags: cheaper than sorting V scores.
  ranks_.clear();
  own_scores_.clear();
  for (const int32_t tag : tags) own_scores_.push_back(scores[static_cast<size_t>(tag)]);
  std::sort(own_scores_.begin(), own_scores_.end());
  double precision_sum = 0;
  for (const int32_t tag : tags) {
    const float score = scores[static_cast<size_t>(tag)];
    const float* after = scores.data() + tag + 1;
    const int64_t before = 1 + count_not_below(scores.data(), tag, score);
    ranks_.push_back(before + count_above(after, total - tag - 1, score));
    const auto own_before =
        own_scores_.end() - std::lower_bound(own_scores_.begin(), own_scores_.end(), score);
    precision_sum += static_cast<double>(own_before) /
                     static_cast<double>(before + count_not_below(after, total - tag - 1, score));
  }
  std::sort(ranks_.begin(), ranks_.end());
  const auto own_tags = static_cast<double>(tags.size());
  label_ranking_ += fraction(precision_sum / own_tags);
  if (!own.empty()) own[0] = static_cast<float>(precision_sum / own_tags);
  for (size_t j = 0; j < ks_.size(); ++j) {
    const auto end = std::upper_bound(ranks_.begin(), ranks_.end(), int64_t{ks_[j]});
    const int64_t hits = end - ranks_.begin();
    sums_[j].hits += hits;
    sums_[j].images_hit += hits > 0 ? 1 : 0;
    const double recall = static_cast<double>(hits) / own_tags;
    sums_[j].recall += fraction(recall);
    if (own.empty()) continue;
    own[1 + j] = static_cast<float>(static_cast<double>(hits) / ks_[j]);
    own[1 + ks_.size() + j] = static_cast<float>(recall);
    own[1 + 2 * ks_.size() + j] = hits > 0 ? 1.0F : 0.0F;
  }
  tags_ += static_cast<int64_t>(tags.size());
  ++images_;
}

void MetricsAccumulator::merge(const MetricsAccumulator& other) {
  if (ks_ != other.ks_) fail("cannot merge metrics at different k");
  for (size_t j = 0; j < sums_.size(); ++j) {
    sums_[j].hits += other.sums_[j].hits;
    sums_[j].images_hit += other.sums_[j].images_hit;
    sums_[j].recall += other.sums_[j].recall;
  }
  images_ += other.images_;
  without_tags_ += other.without_tags_;
  tags_ += other.tags_;
  label_ranking_ += other.label_ranking_;
}

RankingMetrics MetricsAccumulator::result() const {
  RankingMetrics result;
  result.images = images_;
  result.without_tags = without_tags_;
  const double images = static_cast<double>(std::max<int64_t>(images_, 1));
  const double tags = static_cast<double>(std::max<int64_t>(tags_, 1));
  result.label_ranking_precision = static_cast<double>(label_ranking_) / unit / images;
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
  const auto mean = [&](double value) { return metrics.images > 0 ? Json(value) : Json(nullptr); };
  Json json = {{"images", metrics.images},
               {"without_tags", metrics.without_tags},
               {"mAP", mean(metrics.mean_average_precision)},
               {"mAP_tags", metrics.ranked_tags},
               {"LRAP", mean(metrics.label_ranking_precision)}};
  for (const MetricsAtK& at : metrics.at) {
    json[fmt::format("P@{}", at.k)] = mean(at.precision);
    json[fmt::format("R@{}", at.k)] = mean(at.recall_macro);
    json[fmt::format("R@{}_micro", at.k)] = mean(at.recall_micro);
    json[fmt::format("hit@{}", at.k)] = mean(at.hit);
  }
  return json;
}

RankingMetrics parse_metrics(const Json& json, const std::vector<int>& ks,
                             const std::string& where) {
  RankingMetrics result;
  result.images = json_get<int64_t>(json, "images", where);
  result.without_tags = json_get<int64_t>(json, "without_tags", where);
  result.ranked_tags = json_get<int64_t>(json, "mAP_tags", where);
  const auto mean = [&](const std::string& key) {
    return result.images > 0 ? json_get<double>(json, key.c_str(), where) : 0;
  };
  result.mean_average_precision = mean("mAP");
  result.label_ranking_precision = mean("LRAP");
  for (const int k : ks) {
    result.at.push_back({.k = k,
                         .precision = mean(fmt::format("P@{}", k)),
                         .recall_macro = mean(fmt::format("R@{}", k)),
                         .recall_micro = mean(fmt::format("R@{}_micro", k)),
                         .hit = mean(fmt::format("hit@{}", k))});
  }
  return result;
}

std::string metric_text(double value, int64_t images) {
  return images > 0 ? fmt::format("{:.3f}", value) : "–";
}

std::vector<std::string> metrics_heading(const std::vector<int>& ks, const std::string& what) {
  std::vector<std::string> row = {what, "images", "mAP", "LRAP"};
  for (const char* name : {"P@", "R@", "hit@"}) {
    for (const int k : ks) row.push_back(fmt::format("{}{}", name, k));
  }
  return row;
}

std::vector<std::string> metrics_row(const std::string& name, const RankingMetrics& metrics) {
  const auto text = [&](double value) { return metric_text(value, metrics.images); };
  std::vector<std::string> row = {name, std::to_string(metrics.images),
                                  text(metrics.mean_average_precision),
                                  text(metrics.label_ranking_precision)};
  for (const MetricsAtK& at : metrics.at) row.push_back(text(at.precision));
  for (const MetricsAtK& at : metrics.at) row.push_back(text(at.recall_macro));
  for (const MetricsAtK& at : metrics.at) row.push_back(text(at.hit));
  return row;
}

std::vector<int32_t> top_k(std::span<const float> scores, int64_t k) {
  const auto before = [scores](int32_t a, int32_t b) {
    const float x = scores[static_cast<size_t>(a)], y = scores[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  };
  // A heap of the best k so far with the worst on top: one comparison rejects most scores.
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
