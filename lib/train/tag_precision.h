// Class-wise (macro) mean average precision: for each tag, images are ranked by the tag's score,
//
//   AP(t) = 1/n Σ over the n images i with tag t of
//           (images with t at or above i) / (images at or above i)
//   mAP   = mean of AP(t) over the tags that at least one image has
//
// where images of equal scores count together, as in scikit-learn's average_precision_score. Scores
// must be comparable between images (train/probability.h). Exact: reads all scores twice, and needs
// memory only for the scores of images' own tags.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "train/score_rows.h"

namespace hardmoe {

/// The mean of one set of images.
struct TagPrecision {
  double mean = 0;   ///< mAP; 0 if there are no tags
  int64_t tags = 0;  ///< tags in the mean
};

/// Returns the mAP of each group's rows (first …) and of all rows (last). `tags_of` returns a row's
/// tags, ascending ids below the row's width; a row without tags is left out. `group_of`: each
/// row's group, below `groups`; empty if there are no groups.
std::vector<TagPrecision> tag_precision(
    const ScoreRows& scores, const std::function<std::span<const int32_t>(int64_t row)>& tags_of,
    std::span<const uint16_t> group_of, int64_t groups);

}  // namespace hardmoe
