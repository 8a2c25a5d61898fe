#include "moe/router.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/network_facts.h"
#include "expect_error.h"
#include "reference_images.h"
#include "train/probability.h"

namespace hardmoe {
namespace {

TEST(RouterModel, TakesItsShareOfTheBase) {
  for (const ModelConfig& base :
       {ModelConfig{.depth = 18, .stem = Stem::small, .width = 16, .image_size = 48},
        ModelConfig{.depth = 18, .stem = Stem::small, .width = 8, .image_size = 32},
        ModelConfig{.depth = 50, .stem = Stem::imagenet, .width = 64, .image_size = 224}}) {
    ModelConfig router = router_model(base, 18, 0, 0, 8);
    EXPECT_EQ(router.width, std::max(8, base.width / 2));
    EXPECT_EQ(router.image_size % 4, 0);
    EXPECT_LE(share_of_base(router, 8, base), router_share);
    EXPECT_NEAR(share_of_base(router, 8, base),
                flops_per_image(resnet(router, 8)) / flops_per_image(resnet(base, 0)), 1e-12);
    if (router.image_size == base.image_size) continue;
    router.image_size += 4;
    EXPECT_GT(share_of_base(router, 8, base), router_share);
  }
  const ModelConfig base{.depth = 18, .stem = Stem::small, .width = 16, .image_size = 48};
  const ModelConfig given = router_model(base, 34, 24, 40, 4);
  EXPECT_EQ(given.depth, 34);
  EXPECT_EQ(given.width, 24);
  EXPECT_EQ(given.image_size, 40);
}

TEST(RouterModel, OnTheBasesStagesTakesItsShareBehindThem) {
  const ModelConfig base{.depth = 18, .stem = Stem::small, .width = 16, .image_size = 48};
  for (const int behind : {1, 2, 3}) {
    ModelConfig router = router_on_base(base, behind, 0, 8);
    EXPECT_EQ(router.tail.behind, behind);
    EXPECT_EQ(router.width, base.width);
    EXPECT_LE(tail_share_of_base(router, 8, base), router_share);
    EXPECT_NEAR(share_of_base(router, 8, base) - tail_share_of_base(router, 8, base),
                flops_per_image(resnet_until(base, behind)) / flops_per_image(resnet(base, 0)),
                1e-12);
    if (router.tail.width == base.width) continue;
    ++router.tail.width;
    EXPECT_GT(tail_share_of_base(router, 8, base), router_share);
  }
  EXPECT_EQ(router_on_base(base, 2, 24, 8).tail.width, 24);
}

// PyTorch's logits of the stored images say which experts come first, and how likely they are.
TEST(Router, ChoosesTheLikeliestExperts) {
  const ReferenceImages reference;
  Model router;
  router.card.model = ReferenceImages::model();
  router.card.tags = ReferenceImages::tags;
  router.weights = ReferenceImages::weights();
  const auto engine = make_engine("cpu");
  const ExpertChoices choices =
      choices_of_router(*engine, router, reference.split(), 3, Precision::fp32);
  ASSERT_EQ(choices.expert.size(), 12U);
  const auto weights = gating_weights(choices, 1);
  const auto logits = reference.stored.at("eval.logits").as<float>();
  for (size_t i = 0; i < 4; ++i) {
    const auto row = logits.subspan(i * 10, 10);
    std::vector<float> p(10);
    add_probabilities(LossKind::softmax, row, 1, p.data());
    float chosen = 0;
    for (size_t j = 0; j < 3; ++j) chosen += p[choices.expert[3 * i + j]];
    std::vector<float> sorted = p;
    std::sort(sorted.rbegin(), sorted.rend());
    for (size_t j = 0; j < 3; ++j) {
      EXPECT_NEAR(p[choices.expert[3 * i + j]], sorted[j], 1e-5);
      EXPECT_NEAR(std::exp(-choices.squared_distance[3 * i + j]), sorted[j], 1e-5);
      EXPECT_NEAR(weights[3 * i + j], sorted[j] / chosen, 1e-5);
    }
  }
  expect_error([&] { choices_of_router(*engine, router, reference.split(), 11, Precision::fp32); },
               {"11 likeliest experts of 10"}, ExitStatus::usage);
}

}  // namespace
}  // namespace hardmoe
