// Screening by integers answers as float32 scores do, bit for bit; these are tested against other
// tools in kmeans_test.cpp.
#include "cluster/cpu/screen.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace hardmoe::cpu {
namespace {

Tensor random_rows(int64_t rows, int64_t depth, float mean, uint64_t seed) {
  Random random(seed, RandomUse::test);
  Tensor values(DType::f32, {rows, depth});
  for (float& value : values.as<float>()) value = random.normal() + mean;
  return values;
}

TEST(IntegerProduct, MatchesPlainSums) {
  Random random(2, RandomUse::test);
  for (const IntegerLevel& level : integer_levels()) {
    for (const int64_t rows : {1, 6, 13}) {
      constexpr int64_t depth = 38;
      std::vector<int16_t> a(static_cast<size_t>(rows * depth));
      std::vector<int16_t> b(static_cast<size_t>(depth * level.columns));
      // The largest there are: two of them in a pair still fit 32 bits.
      for (auto& value : a) value = random.below(2) == 0 ? 7000 : -7000;
      for (auto& value : b) value = static_cast<int16_t>(random.below(16000)) - 8000;
      std::vector<int32_t> out(static_cast<size_t>(rows * level.columns));
      std::vector<const int16_t*> from;
      std::vector<int32_t*> to;
      for (int64_t r = 0; r < rows; ++r) {
        from.push_back(a.data() + r * depth);
        to.push_back(out.data() + r * level.columns);
      }
      level.product(from.data(), rows, depth, b.data(), to.data(), 0);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < level.columns; ++c) {
          int64_t sum = 0;
          for (int64_t d = 0; d < depth; ++d) {
            sum += int64_t{a[static_cast<size_t>(r * depth + d)]} *
                   b[static_cast<size_t>((d / 2 * level.columns + c) * 2 + d % 2)];
          }
          ASSERT_EQ(out[static_cast<size_t>(r * level.columns + c)], sum) << level.name;
        }
      }
    }
  }
}

struct Case {
  int64_t depth, clusters;
  float mean, price;
};

/// Random data, data far from the origin, whole numbers (with many equal scores), copies among the
/// centroids.
TEST(Screen, AnswersAsTheScoresDo) {
  constexpr int64_t rows = 700;
  for (const IntegerLevel& level : integer_levels()) {
    for (const Case& c : {Case{64, 100, 0, 0},
                          {256, 64, 0, 3},
                          {17, 300, 100, 1},
                          {1, 40, 0, 0},
                          {512, 5, 5, 0},
                          {33, 1000, -3, 0.1F},
                          {8, 1, 0, 0}}) {
      for (const bool whole : {false, true}) {
        Tensor points = random_rows(rows, c.depth, c.mean, 5);
        Tensor centroids = random_rows(c.clusters, c.depth, c.mean, 6);
        if (whole) {
          for (float& value : points.as<float>()) value = std::round(value);
          for (float& value : centroids.as<float>()) value = std::round(value);
          std::copy_n(matrix_view(centroids).row(0), c.depth,
                      centroids.as<float>().data() + (c.clusters - 1) * c.depth);
        }
        Random random(7, RandomUse::test);
        std::vector<float> prices;
        for (int64_t k = 0; k < c.clusters; ++k) prices.push_back(c.price * random.normal());
        std::vector<uint16_t> expected(rows);
        assign(matrix_view(points), CentroidTable(matrix_view(centroids), prices), expected);

        const Screen screen(matrix_view(centroids), prices, level);
        Candidates found;
        int64_t looked_at = 0;
        for (int64_t first = 0; first < rows; first += 100) {
          screen.find(matrix_view(points).slice(first, first + 100), found);
          size_t from = 0;
          for (int64_t i = 0; i < 100; ++i) {
            const auto to = static_cast<size_t>(found.last[static_cast<size_t>(i)]);
            const auto candidates = std::span(found.centroid).subspan(from, to - from);
            looked_at += static_cast<int64_t>(candidates.size());
            ASSERT_EQ(screen.choose(matrix_view(points).row(first + i), candidates),
                      expected[static_cast<size_t>(first + i)])
                << level.name << " depth " << c.depth << " row " << first + i;
            from = to;
          }
        }
        if (!whole && c.mean < 100) {
          EXPECT_LT(looked_at, rows * 5 / 4) << c.depth;
        }
      }
    }
  }
}

TEST(Screen, FindsAllWithinTheSlack) {
  const Tensor points = random_rows(300, 40, 1, 8), centroids = random_rows(90, 40, 1, 9);
  const CentroidTable table(matrix_view(centroids));
  std::vector<float> scores(static_cast<size_t>(300 * table.stride()));
  table.score(matrix_view(points), scores.data());
  for (const IntegerLevel& level : integer_levels()) {
    for (const float slack : {0.5F, 5.0F, 50.0F}) {
      Candidates found;
      std::vector<float> slacks(90, slack);
      slacks[3] = 1000;  // no centroid's slack is another's
      const Screen screen(matrix_view(centroids), {}, level, {.slack = slacks});
      screen.find(matrix_view(points), found);
      auto next = found.centroid.begin();
      for (size_t i = 0; i < 300; ++i) {
        const auto end = found.centroid.begin() + found.last[i];
        const float* row = scores.data() + static_cast<int64_t>(i) * table.stride();
        float limit = INFINITY;
        for (size_t c = 0; c < 90; ++c) limit = std::min(limit, row[c] + slacks[c]);
        for (uint16_t c = 0; c < 90; ++c) {
          const bool there = next != end && *next == c;
          if (there) ++next;
          ASSERT_TRUE(there || row[c] > limit) << "point " << i << " centroid " << c;
          ASSERT_TRUE(!there || row[c] <= limit + 0.1F) << "point " << i << " centroid " << c;
        }
        ASSERT_EQ(next, end);
      }
    }
  }
}

TEST(Screen, HugeAndTinyValuesRuleNothingOutWrongly) {
  for (const float scale : {1e-25F, 1e15F, 1e25F}) {
    Tensor points = random_rows(50, 6, 0, 3), centroids = random_rows(20, 6, 0, 4);
    for (float& value : points.as<float>()) value *= scale;
    for (float& value : centroids.as<float>()) value *= scale;
    for (const IntegerLevel& level : integer_levels()) {
      const Screen screen(matrix_view(centroids), {}, level);
      Candidates found;
      screen.find(matrix_view(points), found);
      ASSERT_EQ(found.last.size(), 50U);
      for (size_t i = 0; i < 50; ++i) EXPECT_GT(found.last[i], i == 0 ? 0 : found.last[i - 1]);
      for (const uint16_t c : found.centroid) EXPECT_LT(c, 20);
    }
  }
}

}  // namespace
}  // namespace hardmoe::cpu
