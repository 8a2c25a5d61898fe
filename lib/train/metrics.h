// Metrics of how well scores rank an image's tags, computed from the ranks of its own tags Y:
//
//   P@k       = mean over images of |top k ∩ Y| / k
//   R@k macro = mean over images of |top k ∩ Y| / |Y|        R@k micro = Σ |top k ∩ Y| / Σ |Y|
//   hit@k     = share of images with top k ∩ Y ≠ ∅
//   LRAP      = mean over images of 1/|Y| Σ over t in Y of own(t) / all(t), where own and all count
//               Y's tags and all tags with a score not below t's: label ranking average precision
//   mAP       = mean over tags of a tag's average precision over images, class-wise:
//               train/tag_precision.h
//
// LRAP and mAP are scikit-learn's label_ranking_average_precision_score and
// average_precision_score.
//
// At k, equal scores rank by tag id; in LRAP and mAP they count as equal. Images without tags are
// counted but left out of every mean.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"

namespace hardmoe {

/// Metrics at one k.
struct MetricsAtK {
  int k = 0;
  double precision = 0;
  double recall_macro = 0;
  double recall_micro = 0;
  double hit = 0;
};

/// Metrics over a set of images.
struct RankingMetrics {
  int64_t images = 0;                  ///< images in the means
  int64_t without_tags = 0;            ///< images left out
  double mean_average_precision = 0;   ///< mAP, computed by tag_precision, not from these sums
  int64_t ranked_tags = 0;             ///< tags in mAP's mean
  double label_ranking_precision = 0;  ///< LRAP
  std::vector<MetricsAtK> at;          ///< ascending in k
};

/// Returns the names of the metrics that are means over images, as metrics_json() has them: "LRAP",
/// then "P@k", "R@k", "hit@k" for each k.
std::vector<std::string> image_metrics(const std::vector<int>& ks);

/// Sums over images, kept in integers (fractions in units of 2⁻³²), so that accumulators of
/// disjoint sets of images merge in any order to exactly the sums over all of them.
class MetricsAccumulator {
 public:
  /// Throws Error(usage) for a k below 1.
  explicit MetricsAccumulator(std::vector<int> ks = {1, 5, 10});

  /// Adds an image: V scores, and the ids of its tags, ascending and below V. `own`: empty, or as
  /// long as image_metrics(), to receive the image's own values; NaN for an image without tags.
  /// Throws Error if a score is not finite (a diverged model must not look like a perfect one) or
  /// an id is out of range.
  void add(std::span<const float> scores, std::span<const int32_t> tags, std::span<float> own = {});
  /// Adds another accumulator's images. Throws Error if its k differ.
  void merge(const MetricsAccumulator& other);
  /// Returns the metrics, without mAP.
  RankingMetrics result() const;

 private:
  struct Sums {
    int64_t hits = 0;  ///< Σ |top k ∩ Y|
    int64_t images_hit = 0;
    uint64_t recall = 0;  ///< Σ |top k ∩ Y| / |Y|, in units of 2⁻³²
  };
  std::vector<int> ks_;
  std::vector<Sums> sums_;
  int64_t images_ = 0;
  int64_t without_tags_ = 0;
  int64_t tags_ = 0;
  uint64_t label_ranking_ = 0;     ///< in units of 2⁻³²
  std::vector<int64_t> ranks_;     // scratch
  std::vector<float> own_scores_;  // scratch
};

/// Returns {"images", "without_tags", "mAP", "mAP_tags", "LRAP", "P@1", "R@1", "R@1_micro",
/// "hit@1", …}; means over no images are null.
Json metrics_json(const RankingMetrics& metrics);
/// Parses metrics_json's result for these k. Throws Error naming `where` and the field that is
/// missing or of another type.
RankingMetrics parse_metrics(const Json& json, const std::vector<int>& ks,
                             const std::string& where);

/// Returns three digits for a table, or "–" if the mean is over no `images`.
std::string metric_text(double value, int64_t images);

/// Return a heading for these k, and a row with its name, for format_table.
std::vector<std::string> metrics_heading(const std::vector<int>& ks, const std::string& what);
std::vector<std::string> metrics_row(const std::string& name, const RankingMetrics& metrics);

/// Returns the ids of the k greatest scores (all if there are fewer), best first, equal ones by id.
std::vector<int32_t> top_k(std::span<const float> scores, int64_t k);

}  // namespace hardmoe
