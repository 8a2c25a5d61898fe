// How well scores rank an image's tags. All of it follows from the ranks of the image's own tags:
//
//   P@k       = mean over images of |top k ∩ Y| / k
//   R@k macro = mean over images of |top k ∩ Y| / |Y|        R@k micro = Σ |top k ∩ Y| / Σ |Y|
//   hit@k     = share of images with top k ∩ Y ≠ ∅
//   LRAP      = mean over images of 1/|Y| Σ over t in Y of own(t) / all(t), where own and all count
//               the tags scored at least as t is: label ranking average precision, image-wise
//   mAP       = mean over tags of a tag's average precision over images, class-wise:
//               train/tag_precision.h
//
// LRAP and mAP are scikit-learn's label_ranking_average_precision_score and
// average_precision_score.
//
// Equal scores rank by tag id at k, and count alike in LRAP and mAP. Images without tags are
// counted and left out of every mean.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"

namespace hardmoe {

struct MetricsAtK {
  int k = 0;
  double precision = 0;
  double recall_macro = 0;
  double recall_micro = 0;
  double hit = 0;
};

struct RankingMetrics {
  int64_t images = 0;                  ///< in the means
  int64_t without_tags = 0;            ///< left out
  double mean_average_precision = 0;   ///< mAP, from elsewhere: these sums cannot have it
  int64_t ranked_tags = 0;             ///< tags in its mean
  double label_ranking_precision = 0;  ///< LRAP
  std::vector<MetricsAtK> at;          ///< ascending in k
};

/// Sums over images, kept in integers (fractions in units of 2⁻³²), so that accumulators of parts
/// merge to exactly what one over all images has, in any order.
class MetricsAccumulator {
 public:
  /// Throws Error(usage) for a k below 1.
  explicit MetricsAccumulator(std::vector<int> ks = {1, 5, 10});

  /// One image: V scores and its tags' ids, ascending and below V. Throws Error for a score that is
  /// not finite (a diverged model must not look like a perfect one) or an id out of range.
  void add(std::span<const float> scores, std::span<const int32_t> tags);
  /// Adds another's images. Throws Error if its k differ.
  void merge(const MetricsAccumulator& other);
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
  uint64_t label_ranking_ = 0;  ///< in units of 2⁻³²
  std::vector<int64_t> ranks_;  // scratch
  std::vector<float> own_;      // scratch
};

/// {"images", "without_tags", "mAP", "mAP_tags", "LRAP", "P@1", "R@1", "R@1_micro", "hit@1", …};
/// means of no images are null.
Json metrics_json(const RankingMetrics& metrics);
/// The reverse, for these k. Throws Error naming `where` and the field that is not so.
RankingMetrics parse_metrics(const Json& json, const std::vector<int>& ks,
                             const std::string& where);

/// Three digits for a table; "–" where `images`, the images in the mean, are none.
std::string metric_text(double value, int64_t images);

/// For format_table: a heading for these k, and one row with its name.
std::vector<std::string> metrics_heading(const std::vector<int>& ks, const std::string& what);
std::vector<std::string> metrics_row(const std::string& name, const RankingMetrics& metrics);

/// The ids of the k greatest scores (all, if fewer), best first, equal ones by id.
std::vector<int32_t> top_k(std::span<const float> scores, int64_t k);

}  // namespace hardmoe
