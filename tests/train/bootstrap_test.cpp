// The bootstrap beside SciPy's, NumPy's and closed forms.
#include "train/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/random.h"
#include "base/threads.h"
#include "expect_error.h"
#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe {
namespace {

SeedColumns columns_of(const Tensor& tensor, size_t seeds) {
  const auto values = tensor.as<float>();
  const auto images = static_cast<size_t>(tensor.size(1));
  SeedColumns columns;
  for (size_t s = 0; s < seeds; ++s) {
    const auto row = values.subspan(s * images, images);
    columns.emplace_back(row.begin(), row.end());
  }
  return columns;
}

Estimate estimate_of(const SeedColumns& quantity, const BootstrapOptions& options = {}) {
  return bootstrap({quantity}, options).at(0);
}

// The 2.5th percentile of R resamples has a standard error of √(p(1−p)/R)/f = 0.027 σ at R = 10,000,
// and of one seed of 400 images σ = 0.03; values lie on a grid of 1/400.
TEST(Bootstrap, MatchesSciPysPairedPercentiles) {
  const StateDict stored = load_safetensors(test_file("bootstrap.safetensors"));
  const auto expected = stored.at("one").as<double>();
  const Estimate found =
      estimate_of(difference(columns_of(stored.at("a"), 1), columns_of(stored.at("b"), 1)));
  EXPECT_NEAR(found.mean, expected[0], 1e-9);
  EXPECT_NEAR(found.low, expected[1], 0.0026);
  EXPECT_NEAR(found.high, expected[2], 0.0026);
  EXPECT_EQ(found.images, 400);
  EXPECT_EQ(found.seeds, 1);
  EXPECT_TRUE(std::isnan(found.standard_error));
}

TEST(Bootstrap, DrawsSeedsAndImagesAsNumPyDoes) {
  const StateDict stored = load_safetensors(test_file("bootstrap.safetensors"));
  const auto expected = stored.at("three").as<double>();
  const Estimate found =
      estimate_of(difference(columns_of(stored.at("a"), 3), columns_of(stored.at("b"), 3)));
  EXPECT_NEAR(found.mean, expected[0], 1e-9);
  EXPECT_NEAR(found.standard_error, expected[1], 1e-9);
  EXPECT_NEAR(found.low, expected[2], 0.003);
  EXPECT_NEAR(found.high, expected[3], 0.003);
}

TEST(Bootstrap, IsTheNormalIntervalOfManyImages) {
  Random random(1, RandomUse::test);
  std::vector<float> values(20000);
  double sum = 0, squares = 0;
  for (float& value : values) {
    value = random.normal() * 2 + 1;
    sum += double{value};
    squares += double{value} * double{value};
  }
  const auto n = static_cast<double>(values.size());
  const double mean = sum / n, error = std::sqrt((squares / n - mean * mean) / n);
  const Estimate found = estimate_of({values}, {.resamples = 4000});
  EXPECT_NEAR(found.low, mean - 1.95996 * error, 0.15 * error);
  EXPECT_NEAR(found.high, mean + 1.95996 * error, 0.15 * error);
  const Estimate wider = estimate_of({values}, {.resamples = 4000, .confidence = 0.99});
  EXPECT_NEAR(wider.low, mean - 2.57583 * error, 0.2 * error);
}

// Of two seeds whose images all agree, half of the draws have both, a quarter one of them twice.
TEST(Bootstrap, OfSeedsAloneEndsAtTheSeeds) {
  const SeedColumns quantity = {std::vector<float>(50, 0.25F), std::vector<float>(50, 0.75F)};
  const Estimate found = estimate_of(quantity);
  EXPECT_EQ(found.low, 0.25);
  EXPECT_EQ(found.high, 0.75);
  EXPECT_DOUBLE_EQ(found.mean, 0.5);
  EXPECT_DOUBLE_EQ(found.standard_error, 0.25);  // √(0.125)/√2
  EXPECT_DOUBLE_EQ(estimate_of(quantity, {.confidence = 0.2}).low, 0.5);
}

TEST(Bootstrap, LeavesOutWhatIsUndefined) {
  const float none = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> holes = {1, none, 1, none, 1, 1}, twos = {2, 5, 2, 7, 2, none};
  const auto found = bootstrap({{holes}, {twos}, difference({twos}, {holes})});
  EXPECT_EQ(found[0].images, 4);
  EXPECT_EQ(found[0].low, 1);
  EXPECT_EQ(found[0].high, 1);
  EXPECT_EQ(found[1].images, 5);
  EXPECT_DOUBLE_EQ(found[1].mean, 18.0 / 5);
  EXPECT_EQ(found[2].images, 3);
  EXPECT_EQ(found[2].mean, 1);
  EXPECT_EQ(found[2].high, 1);
}

TEST(Bootstrap, PairsQuantitiesAndDependsOnNoThreads) {
  Random random(2, RandomUse::test);
  SeedColumns a(3, std::vector<float>(333)), shifted;
  for (auto& values : a) {
    for (float& value : values) value = random.uniform();
  }
  shifted = a;
  for (auto& values : shifted) {
    for (float& value : values) value += 0.5F;
  }
  const int before = compute_threads();
  const auto found = bootstrap({a, shifted, difference(shifted, a)}, {.resamples = 500});
  EXPECT_NEAR(found[1].low - found[0].low, 0.5, 1e-6) << "other draws for the second";
  EXPECT_NEAR(found[2].low, 0.5, 1e-6);
  EXPECT_NEAR(found[2].high, 0.5, 1e-6);
  set_compute_threads(before > 1 ? 1 : 3);
  EXPECT_EQ(bootstrap({a}, {.resamples = 500})[0].low, found[0].low);
  set_compute_threads(before);
  EXPECT_NE(estimate_of(a, {.resamples = 500, .seed = 2}).low, found[0].low);
}

TEST(Bootstrap, RefusesWhatDoesNotMatch) {
  const SeedColumns one = {{1, 2}}, two = {{1, 2}, {3, 4}}, longer = {{1, 2, 3}};
  expect_error([&] { difference(one, two); }, {"1 seeds beside 2"});
  expect_error([&] { bootstrap({one, longer}); }, {"2 images beside 3"});
  expect_error([&] { bootstrap({SeedColumns{}}); }, {"at least one seed"});
  expect_error([&] { bootstrap({{{std::nanf(""), std::nanf("")}}}); }, {"undefined for all 2"});
}

}  // namespace
}  // namespace hardmoe
