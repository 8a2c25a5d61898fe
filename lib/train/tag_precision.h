// mAP as the field has it, class-wise (macro): for each tag, images are ranked by the tag's score,
//
//   AP(t) = 1/n Σ over the n images i with tag t of
//           (images with t at or above i) / (images at or above i)
//   mAP   = mean of AP(t) over the tags that at least one image has
//
// where images of equal scores count together, as in scikit-learn's average_precision_score;
// so that scores must mean the same for all images (train/probability.h). Exact: it looks twice at
// all scores, and takes memory for the images' own tags only.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "train/score_rows.h"

namespace hardmoe {

struct TagPrecision {
  double mean = 0;   ///< mAP; 0 where there are no tags
  int64_t tags = 0;  ///< in the mean
};

/// mAP of each group's rows alone (first …) and of all rows (last). `tags_of`: a row's tags,
/// ascending ids below the width of a row; a row without is left out. `group_of`: each row's group,
/// below `groups`; empty where there are none.
std::vector<TagPrecision> tag_precision(
    const ScoreRows& scores, const std::function<std::span<const int32_t>(int64_t row)>& tags_of,
    std::span<const uint16_t> group_of, int64_t groups);

}  // namespace hardmoe
