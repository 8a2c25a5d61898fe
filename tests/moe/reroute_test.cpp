#include "moe/reroute.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "cluster/balance.h"
#include "expect_error.h"
#include "moe/expert_losses.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

Tensor normal_rows(int64_t rows, int64_t cols, uint64_t stream) {
  Random random(17, RandomUse::test, stream);
  Tensor values(DType::f32, {rows, cols});
  for (float& value : values.as<float>()) value = 2 * random.normal() + 1;
  return values;
}

TEST(GaterOfAClassifier, ChoosesTheGreatestScore) {
  for (const int64_t classes : {2, 5, 12}) {  // more than the dimensions, too
    constexpr int64_t depth = 6;
    Random random(3, RandomUse::test, static_cast<uint64_t>(classes));
    LinearClassifier classifier = LinearClassifier::zeros(classes, depth);
    for (double& weight : classifier.weights) weight = double{random.normal()};
    for (double& bias : classifier.biases) bias = double{4 * random.normal()};
    Gater like;
    like.experts = classes;
    like.inputs = depth;
    const Gater gater = gater_of(classifier, like);
    const Tensor points = normal_rows(3000, depth, 1);
    const auto routed = gater.route(matrix_view(points));
    const ExpertChoices choices = gater.nearest_experts(matrix_view(points), 2);
    for (int64_t i = 0; i < 3000; ++i) {
      std::vector<double> scores = classifier.biases;
      for (size_t k = 0; k < scores.size(); ++k) {
        for (size_t d = 0; d < depth; ++d) {
          scores[k] += classifier.weights[k * depth + d] * double{matrix_view(points).row(i)[d]};
        }
      }
      const double chosen = scores[routed[static_cast<size_t>(i)]];
      ASSERT_NEAR(chosen, *std::max_element(scores.begin(), scores.end()), 1e-4) << i;
      if (classes > depth) continue;
      // Prices have nothing left to do: distances alone are the classifier's log-probabilities.
      const auto at = static_cast<size_t>(2 * i);
      const double difference = scores[choices.expert[at]] - scores[choices.expert[at + 1]];
      ASSERT_NEAR(double{choices.squared_distance[at + 1]} - double{choices.squared_distance[at]},
                  difference, 0.02 + 0.01 * difference);
    }
  }
}

TEST(ClassifierOfAGater, ScoresAsItRoutes) {
  const Tensor points = normal_rows(2000, 4, 2);
  const Partition partition =
      partition_images(matrix_view(points), {}, {.experts = 5, .pca = 3, .iterations = 4}, 1);
  const auto rule = classifier_of(partition.gater, 0.5);
  ASSERT_TRUE(rule);
  const Gater again = gater_of(*rule, partition.gater);
  const auto routed = again.route(matrix_view(points));
  int64_t different = 0;
  for (size_t i = 0; i < routed.size(); ++i) different += routed[i] != partition.assignment[i];
  EXPECT_LE(different, 1);  // rounding

  const Partition fine = partition_images(matrix_view(points), {},
                                          {.experts = 2, .pca = 3, .iterations = 2, .fine = 8}, 1);
  EXPECT_FALSE(classifier_of(fine.gater, 1));
  const Partition random = partition_images(
      matrix_view(points), {}, {.method = PartitionMethod::random, .experts = 2, .pca = 0}, 1);
  EXPECT_FALSE(classifier_of(random.gater, 1));
}

/// Images whose best expert, of four, is the quadrant of their first two values, whatever the
/// partition says; losses tell it through noise.
class Reroute : public testing::Test {
 protected:
  static constexpr int64_t images = 6000, held_out = 3000, width = 8, experts = 4;

  static uint16_t quadrant(const float* x) {
    return static_cast<uint16_t>((x[0] > 1 ? 1 : 0) + (x[1] > 1 ? 2 : 0));
  }

  HeldOut losses_by(const std::function<size_t(int64_t)>& best, float noise) const {
    HeldOut found{normal_rows(held_out, width, 4), Tensor(DType::f32, {held_out, experts})};
    Random random(5, RandomUse::test);
    for (int64_t i = 0; i < held_out; ++i) {
      for (size_t k = 0; k < experts; ++k) {
        found.losses.as<float>()[static_cast<size_t>(i * experts) + k] =
            (k == best(i) ? 1.0F : 2.0F) + noise * random.normal();
      }
    }
    return found;
  }

  Tensor features = normal_rows(images, width, 3);
  MatrixSource source{matrix_view(features)};
  PartitionConfig config{.experts = 4, .pca = 8, .iterations = 10};
  Partition before = partition_images(source, {}, config, 1);
  Tensor others = normal_rows(held_out, width, 4);
};

TEST_F(Reroute, SendsImagesToTheExpertThatDoesBest) {
  const HeldOut seen =
      losses_by([&](int64_t i) { return quadrant(matrix_view(others).row(i)); }, 0.5F);
  const Partition after = reroute(source, before, seen, config, 1);
  int64_t right = 0;
  for (int64_t i = 0; i < images; ++i) {
    right += after.assignment[static_cast<size_t>(i)] == quadrant(matrix_view(features).row(i));
  }
  EXPECT_GT(static_cast<double>(right) / images, 0.93);
  EXPECT_TRUE(after.balanced);
  EXPECT_TRUE(sizes_within(after.sizes, config.tolerance));
  EXPECT_EQ(after.gater.route(matrix_view(features)), after.assignment);
  ASSERT_TRUE(after.rerouting);
  EXPECT_FALSE(after.rerouting->kept);
  EXPECT_EQ(after.rerouting->images, held_out);
  EXPECT_NEAR(after.rerouting->loss_after, 1.06, 0.06);
  EXPECT_GT(after.rerouting->loss_before, 1.4);
  EXPECT_LT(after.rerouting->loss_least, after.rerouting->loss_after);
  EXPECT_GT(after.rerouting->best_after, after.rerouting->best_before + 0.2);

  const TemporaryFolder folder;
  save_partition(folder.path(), after);
  const Partition back = load_partition(folder.path());
  EXPECT_EQ(back.gater.route(matrix_view(features)), after.assignment);
  ASSERT_TRUE(back.rerouting);
  EXPECT_EQ(back.rerouting->moved, after.rerouting->moved);
  EXPECT_EQ(describe(back), describe(after));
}

TEST_F(Reroute, BeginsFromAnyPartition) {
  const HeldOut seen =
      losses_by([&](int64_t i) { return quadrant(matrix_view(others).row(i)); }, 0.5F);
  for (PartitionConfig other :
       {PartitionConfig{.method = PartitionMethod::random, .experts = 4, .pca = 8},
        PartitionConfig{.experts = 4, .pca = 8, .iterations = 3, .fine = 16}}) {
    const Partition after =
        reroute(source, partition_images(source, {}, other, 1), seen, config, 1);
    EXPECT_NEAR(after.rerouting->loss_after, 1.06, 0.06);
    EXPECT_EQ(after.gater.route(matrix_view(features)), after.assignment);
    EXPECT_TRUE(after.balanced);
  }
}

TEST_F(Reroute, KeepsARuleThatNothingBeats) {
  const auto own = before.gater.route(matrix_view(others));
  const HeldOut seen = losses_by([&](int64_t i) { return own[static_cast<size_t>(i)]; }, 0);
  const Partition after = reroute(source, before, seen, config, 1);
  EXPECT_TRUE(after.rerouting->kept);
  EXPECT_EQ(after.assignment, before.assignment);
  EXPECT_EQ(after.rerouting->loss_after, 1);
}

TEST_F(Reroute, RefusesWhatItCannotUse) {
  const HeldOut seen = losses_by([](int64_t) { return 0; }, 0);
  const auto call = [&](const RowSource& rows, const HeldOut& of) {
    return [&, this] { reroute(rows, before, of, config, 1); };
  };
  const MatrixSource few(matrix_view(features).slice(0, 100));
  expect_error(call(few, seen), {"6000 × 8", "100 × 8"}, ExitStatus::usage);
  const HeldOut small{normal_rows(39, width, 1), Tensor(DType::f32, {39, experts})};
  expect_error(call(source, small), {"39 held-out images", "at least 40"}, ExitStatus::usage);
  config.reroute.temperature = -1;
  expect_error(call(source, seen), {"partition.reroute.temperature", "-1"}, ExitStatus::usage);
}

}  // namespace
}  // namespace hardmoe
