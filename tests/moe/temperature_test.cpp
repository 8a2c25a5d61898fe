#include "moe/temperature.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe {
namespace {

/// The grid's neighbours differ by √2: the nearest to any T is within a factor 2^(1/4), and where
/// the loss is not symmetric about its least, the best of the grid within √2.
void expect_next_to(double found, double expected) {
  EXPECT_LT(std::abs(std::log2(found / expected)), 0.5) << found << " beside " << expected;
}

/// 100 images of two choices at d² = 0 and `gap`; the first is right for `first_right` of them, and
/// the one that is right gives the image's tag probability 1, the other 0.
double fitted(float gap, int first_right) {
  ExpertChoices choices{.experts = 2, .expert = {}, .squared_distance = {}};
  std::vector<std::vector<float>> likelihood;
  for (int i = 0; i < 100; ++i) {
    choices.expert.insert(choices.expert.end(), {0, 1});
    choices.squared_distance.insert(choices.squared_distance.end(), {0.0F, gap});
    likelihood.push_back({i < first_right ? 1.0F : 0.0F});
    likelihood.push_back({i < first_right ? 0.0F : 1.0F});
  }
  return fit_temperature(choices, likelihood);
}

// Σ log p is greatest where the weight of the first choice is the share r of images for which it is
// right: 1/(1 + e^(−gap/T)) = r, so T = gap / log(r/(1−r)).
TEST(Temperature, MatchesTheClosedFormOfTwoChoices) {
  for (const int percent : {55, 60, 75, 90, 99}) {
    SCOPED_TRACE(percent);
    const double odds = percent / (100.0 - percent);
    expect_next_to(fitted(3, percent), 3 / std::log(odds));
  }
}

TEST(Temperature, ScalesWithSquaredDistances) {
  EXPECT_DOUBLE_EQ(fitted(1024, 80), 256 * fitted(4, 80));
}

TEST(Temperature, EndsAtTheGridsEndsWhereTheBestIsBeyond) {
  EXPECT_DOUBLE_EQ(fitted(2, 100), std::exp2(-10));  // the first alone is right: T → 0
  EXPECT_DOUBLE_EQ(fitted(2, 50), std::exp2(6));     // both alike: T → ∞
  EXPECT_DOUBLE_EQ(fitted(2, 10), std::exp2(6));     // the farther one is better
}

TEST(Temperature, IsNextToWhatSciPyMinimises) {
  const StateDict stored = load_safetensors(test_file("temperature.safetensors"));
  for (const std::string number : {"0", "1", "2"}) {
    SCOPED_TRACE(number);
    const Tensor& distance = stored.at(number + ".squared_distance");
    const auto d = distance.as<float>();
    const auto p = stored.at(number + ".likelihood").as<float>();
    const ExpertChoices choices{.experts = distance.size(1),
                                .expert = std::vector<uint16_t>(d.size()),
                                .squared_distance = {d.begin(), d.end()}};
    std::vector<std::vector<float>> likelihood;
    for (const float value : p) likelihood.push_back({value});
    expect_next_to(fit_temperature(choices, likelihood),
                   static_cast<double>(stored.at(number + ".temperature").as<float>()[0]));
  }
}

TEST(Temperature, WeighsImagesAlikeHoweverManyTagsTheyHave) {
  // Two images speak for the nearest choice, the third for the other: T = 4 / log 2. If its four
  // tags counted as four images, most would speak for the other, and T would be the grid's last.
  const ExpertChoices choices{
      .experts = 2, .expert = {0, 1, 0, 1, 0, 1}, .squared_distance = {0, 4, 0, 4, 0, 4}};
  const double found = fit_temperature(choices, {{1}, {0}, {1}, {0}, {0, 0, 0, 0}, {1, 1, 1, 1}});
  expect_next_to(found, 4 / std::log(2.0));
  // Without its tags the third says nothing, and the nearest alone is right.
  EXPECT_DOUBLE_EQ(fit_temperature(choices, {{1}, {0}, {1}, {0}, {}, {}}), 2 * std::exp2(-10));
}

}  // namespace
}  // namespace hardmoe
