#include "base/random.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>

namespace hardmoe {
namespace {

// From tests/references/make_philox_vectors.py, which reproduces Random123's own known answers; the
// first row is the first of those.
TEST(Random, IsPhilox4x32) {
  struct Case {
    uint64_t seed;
    uint32_t use;
    uint64_t stream;
    int block;
    std::array<uint32_t, 4> words;
  };
  const Case cases[] = {
      {0x0, 0, 0x0, 0, {0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}},
      {0x0, 0, 0x0, 1, {0xF8E4CCA4, 0x5CB200DB, 0xB1A574EB, 0x097EFF67}},
      {0x299F31D0A4093822, 3, 0x5, 0, {0x3070E8B3, 0xA58D0C0B, 0x77341422, 0x89B5E119}},
      {0x1, 1, 0x370734413198A2E, 0, {0x4903FFCD, 0x55065E84, 0x33533DFC, 0x31DAB35E}},
      {0x1, 1, 0x370734413198A2E, 2, {0x61820653, 0xF6FA121E, 0xDA99B6FA, 0xFE50316F}},
  };
  for (const auto& c : cases) {
    Random random(c.seed, static_cast<RandomUse>(c.use), c.stream);
    for (int i = 0; i < 4 * c.block; ++i) random.next_u32();
    for (const uint32_t word : c.words) EXPECT_EQ(random.next_u32(), word);
  }
}

TEST(Random, UsesStreamsAndSeedsAreIndependent) {
  std::map<uint64_t, int> firsts;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    for (const auto use : {RandomUse::init, RandomUse::order, RandomUse::augment}) {
      for (uint64_t stream = 0; stream < 10; ++stream) {
        ++firsts[Random(seed, use, stream).next_u64()];
      }
    }
  }
  EXPECT_EQ(firsts.size(), 300U);
}

/// Pearson's chi-squared against equal counts.
double chi_squared(const std::vector<int>& counts, double expected) {
  double sum = 0;
  for (const int count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

TEST(Random, BelowIsUniform) {
  Random random(7, RandomUse::test);
  for (const uint64_t bound : {1U, 2U, 3U, 10U}) {
    std::vector<int> counts(bound);
    for (int i = 0; i < 60000; ++i) ++counts.at(random.below(bound));
    // 27.9: the 99.9% quantile for 9 degrees of freedom, the most of these cases.
    EXPECT_LT(chi_squared(counts, 60000.0 / static_cast<double>(bound)), 27.9);
  }
}

TEST(Random, BelowHasNoModuloBias) {
  // For 3/4 of 2^64, taking the remainder would make the lowest third twice as likely as the rest.
  constexpr uint64_t bound = uint64_t{3} << 62;
  Random random(8, RandomUse::test);
  int low = 0;
  constexpr int draws = 30000;
  for (int i = 0; i < draws; ++i) {
    const uint64_t draw = random.below(bound);
    ASSERT_LT(draw, bound);
    if (draw < bound / 3) ++low;
  }
  EXPECT_NEAR(low / double{draws}, 1.0 / 3, 4 * std::sqrt(2.0 / 9 / draws));
}

TEST(Random, UniformAndNormalHaveTheirMoments) {
  Random random(9, RandomUse::test);
  constexpr int draws = 200000;
  double sum = 0, square = 0, normal_sum = 0, normal_square = 0, normal_fourth = 0;
  for (int i = 0; i < draws; ++i) {
    const double u = i % 2 == 0 ? static_cast<double>(random.uniform()) : random.uniform_double();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    square += u * u;
    const double z = random.normal();
    normal_sum += z;
    normal_square += z * z;
    normal_fourth += z * z * z * z;
  }
  const double root = std::sqrt(draws);
  EXPECT_NEAR(sum / draws, 0.5, 4 * std::sqrt(1.0 / 12) / root);
  EXPECT_NEAR(square / draws, 1.0 / 3, 4 * std::sqrt(4.0 / 45) / root);
  EXPECT_NEAR(normal_sum / draws, 0, 4 / root);
  EXPECT_NEAR(normal_square / draws, 1, 4 * std::sqrt(2) / root);
  EXPECT_NEAR(normal_fourth / draws, 3, 4 * std::sqrt(96) / root);
}

TEST(RandomPermutation, AllOrdersAreEquallyLikely) {
  std::map<std::vector<int64_t>, int> counts;
  constexpr int draws = 24000;
  for (uint64_t i = 0; i < draws; ++i) {
    ++counts[random_permutation(4, Random(3, RandomUse::order, i))];
  }
  ASSERT_EQ(counts.size(), 24U);
  std::vector<int> flat;
  for (const auto& [order, count] : counts) flat.push_back(count);
  EXPECT_LT(chi_squared(flat, 1000), 49.7);  // 99.9% quantile, 23 degrees of freedom
}

TEST(RandomPermutation, OfNoneAndOfOneIsItself) {
  EXPECT_TRUE(random_permutation(0, Random(1, RandomUse::order)).empty());
  EXPECT_EQ(random_permutation(1, Random(1, RandomUse::order)), std::vector<int64_t>{0});
}

}  // namespace
}  // namespace hardmoe
