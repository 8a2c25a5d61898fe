#include "moe/router.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "base/stage.h"
#include "engine/network_facts.h"
#include "expect_error.h"
#include "nn/architecture.h"
#include "reference_images.h"
#include "temporary_folder.h"
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

/// A partition of three experts, a router for it and a base, as their commands leave them.
class RouterFolder : public testing::Test {
 protected:
  RouterFolder() {
    write("partition", "moe-partition", Json::object());
    write_json(folder_ / "partition/partition.json", {{"experts", 3}});
    write("base", "moe-train-base", Json::object());
  }
  void write(const std::string& name, const std::string& command, const Json& inputs) const {
    std::filesystem::create_directories(folder_ / name);
    write_json(folder_ / (name + "/stage.json"), {{"command", command},
                                                  {"inputs", inputs},
                                                  {"done", true},
                                                  {"outputs", Json::object()},
                                                  {"results", Json::object()}});
  }
  Model open(const Json& inputs, int64_t experts = 3, const Tail& tail = {}) const {
    write("router", "moe-train-router", inputs);
    Model router;
    router.card.model = {.depth = 18, .stem = Stem::small, .width = 4, .image_size = 8};
    router.card.model.tail = tail;
    router.card.tags = experts;
    router.weights = initial_weights(network_of(router.card.model, experts), 1);
    save_model(folder_ / "router", router);
    return open_router(folder_ / "router", folder_ / "partition", folder_ / "base");
  }
  Json inputs() const {
    return {{"partition", stage_fingerprint(folder_ / "partition", "moe-partition")},
            {"base", base_fingerprint(folder_ / "base")}};
  }
  TemporaryFolder folder_;
};

TEST_F(RouterFolder, IsOfThePartitionAndTheBase) {
  EXPECT_EQ(open(inputs()).card.tags, 3);
  EXPECT_EQ(open(inputs(), 3, {2, 3}).card.tags, 3);
  for (const Json& other : {Json("other"), Json(5), Json(nullptr), Json::array()}) {
    Json changed = inputs();
    changed["partition"] = other;
    expect_error([&] { open(changed); }, {"router", "another partition"}, ExitStatus::usage);
    changed = inputs();
    changed["base"] = other;
    EXPECT_NO_THROW(open(changed));
    expect_error([&] { open(changed, 3, {2, 3}); }, {"router", "another base"}, ExitStatus::usage);
  }
}

TEST_F(RouterFolder, ChoosesAmongThePartitionsExperts) {
  expect_error([&] { open(inputs(), 4); }, {"router: chooses among 4 experts", "partition has 3"});
}

}  // namespace
}  // namespace hardmoe
