// What an evaluation's means do not show.
#include "moe/evaluation_gaps.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace hardmoe {
namespace {

Evaluation evaluation(int64_t images, int64_t without, std::vector<int64_t> experts) {
  Evaluation result;
  LabelMetrics tags{"tags", {}, {}};
  tags.all.images = images;
  tags.all.without_tags = without;
  result.labels.push_back(tags);
  result.expert_images = std::move(experts);
  return result;
}

std::string gaps(const Evaluation& evaluation) {
  return join(evaluation_gaps(evaluation, "val"), "|");
}

TEST(EvaluationGaps, NoneWhereAllIsMeasured) {
  EXPECT_EQ(gaps(evaluation(12, 0, {})), "");
  EXPECT_EQ(gaps(evaluation(12, 0, {5, 7})), "");
}

TEST(EvaluationGaps, CountImagesWithoutTags) {
  EXPECT_EQ(gaps(evaluation(9, 3, {})),
            "3 of the 12 images of 'val' have no tag of the vocabulary and are left out");
  EXPECT_EQ(gaps(evaluation(0, 12, {})),
            "none of the 12 images of 'val' has tags, so nothing was measured against tags");
}

TEST(EvaluationGaps, NameExpertsThatNoImageIsSentTo) {
  EXPECT_EQ(gaps(evaluation(12, 0, {0, 12, 0})),
            "no image of 'val' was routed to experts 0, 2, so nothing was measured for them");
}

TEST(EvaluationGaps, UnknownTruthIsNoGapWhereSomeIsKnown) {
  Evaluation result = evaluation(12, 0, {});
  LabelMetrics truth{"truth", {}, {}};
  truth.all.images = 1;
  truth.all.without_tags = 11;
  result.labels.push_back(truth);
  EXPECT_EQ(gaps(result), "");
  result.labels[1].all.images = 0;
  EXPECT_EQ(gaps(result),
            "none of the 11 images of 'val' has truth, so nothing was measured against truth");
}

}  // namespace
}  // namespace hardmoe
