#include "cluster/equal_points.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"
#include "cluster/fill_parts.h"

namespace hardmoe {
namespace {

Tensor normal_rows(int64_t rows, int64_t depth, uint64_t seed) {
  Random random(seed, RandomUse::test);
  Tensor found(DType::f32, {rows, depth});
  for (float& value : found.as<float>()) value = random.normal();
  return found;
}

/// Makes rows first, first + step, … equal to row `like`, but for so much.
void repeat_row(Tensor& points, int64_t like, int64_t first, int64_t step, int64_t count,
                float noise = 0) {
  Random random(5, RandomUse::test);
  const int64_t depth = points.size(1);
  float* values = points.as<float>().data();
  for (int64_t n = 0; n < count; ++n) {
    float* row = values + (first + n * step) * depth;
    std::copy_n(values + like * depth, depth, row);
    for (int64_t d = 0; d < depth; ++d) row[d] += noise * random.normal();
  }
}

EqualGroups take(const Tensor& points, const EqualParams& params, RowSet& taken) {
  const MatrixSource source(matrix_view(points));
  return take_equal_points(source, nullptr, cpu_cluster_backend(), params, taken);
}

TEST(RowSet, NumbersWhatIsLeft) {
  for (const int64_t rows : {1, 63, 64, 65, 1000}) {
    Random random(static_cast<uint64_t>(rows), RandomUse::test);
    RowSet set(rows);
    std::vector<int64_t> left;
    for (int64_t row = 0; row < rows; ++row) {
      if (random.below(3) == 0 || (row >= 128 && row < 400)) {
        set.insert(row);
      } else {
        left.push_back(row);
      }
    }
    set.count();
    ASSERT_EQ(set.left(), std::ssize(left));
    for (size_t i = 0; i < left.size(); ++i) {
      ASSERT_EQ(set.nth_left(static_cast<int64_t>(i)), left[i]);
    }
    EXPECT_EQ(set.nth_left(set.left()), rows);
    for (const int64_t row : left) EXPECT_FALSE(set.holds(row));
  }
}

TEST(RemainingRows, AreReadInTheirOrder) {
  const Tensor points = normal_rows(500, 3, 1);
  const MatrixSource source(matrix_view(points));
  RowSet taken(500);
  for (int64_t row = 0; row < 500; ++row) {
    if (row % 7 < 4 || row > 480) taken.insert(row);
  }
  taken.count();
  const RemainingRows rest(source, taken);
  std::vector<float> all(static_cast<size_t>(rest.rows() * 3)), one(3);
  rest.read(0, rest.rows(), all.data());
  for (int64_t i = 0; i < rest.rows(); ++i) {
    const float* expected = matrix_view(points).row(taken.nth_left(i));
    ASSERT_TRUE(std::equal(expected, expected + 3, all.begin() + i * 3)) << i;
    rest.read(i, 1, one.data());
    ASSERT_TRUE(std::equal(one.begin(), one.end(), expected)) << i;
  }
}

TEST(EqualPoints, OrdinaryPointsHaveNone) {
  for (const int64_t depth : {1, 2, 32}) {
    RowSet taken(3000);
    const EqualGroups groups =
        take(normal_rows(3000, depth, 2), {.parts = 100, .tolerance = 0.05}, taken);
    EXPECT_TRUE(groups.taken.empty() && groups.left.empty()) << depth;
    EXPECT_EQ(taken.left(), 3000);
  }
}

TEST(EqualPoints, AreTakenWhileTheyAreMoreThanAPartOfTheRest) {
  // 10,000 points, 10 parts. 4,000 equal ones leave 6,000 for 9 parts, 667 each: 800 are too many
  // for one of these though not for one of 10; 5,200 are left for 8 parts, 650 each: 660 may stay.
  Tensor points = normal_rows(10000, 8, 3);
  repeat_row(points, 9999, 0, 2, 4000);
  repeat_row(points, 9997, 1, 2, 800);
  repeat_row(points, 9995, 1601, 2, 660);
  RowSet taken(10000);
  const EqualGroups groups = take(points, {.parts = 10, .tolerance = 0.05}, taken);
  ASSERT_EQ(groups.taken.size(), 2U);
  EXPECT_EQ(groups.taken[0].count, 4001);  // with the row that was repeated
  EXPECT_EQ(groups.taken[1].count, 801);
  ASSERT_EQ(groups.left.size(), 1U);
  EXPECT_EQ(groups.left[0].count, 661);
  EXPECT_EQ(taken.left(), 10000 - 4001 - 801);
  EXPECT_TRUE(taken.holds(0) && taken.holds(9999) && taken.holds(1));
  EXPECT_FALSE(taken.holds(1601) || taken.holds(9998));
}

TEST(EqualPoints, NearlyEqualOnesAreAsManyAsNearnessSays) {
  Tensor points = normal_rows(4000, 16, 4);
  repeat_row(points, 3999, 0, 1, 2000, 1e-4F);
  RowSet taken(4000);
  EXPECT_TRUE(take(points, {.parts = 8, .tolerance = 0.05}, taken).taken.empty());
  const EqualGroups groups =
      take(points, {.parts = 8, .tolerance = 0.05, .nearness = 1e-3F}, taken);
  ASSERT_EQ(groups.taken.size(), 1U);
  EXPECT_EQ(groups.taken[0].count, 2001);
  EXPECT_GT(groups.taken[0].radius, 1e-4F);
  EXPECT_LT(groups.taken[0].radius, 4e-3F);
}

TEST(EqualPoints, FewDifferentPointsLeaveNothing) {
  Tensor points = normal_rows(300, 4, 5);
  repeat_row(points, 0, 0, 3, 100);
  repeat_row(points, 1, 1, 3, 100);
  repeat_row(points, 2, 2, 3, 100);
  RowSet taken(300);
  const EqualGroups groups = take(points, {.parts = 5, .tolerance = 0.05}, taken);
  EXPECT_EQ(groups.taken.size(), 3U);
  EXPECT_EQ(taken.left(), 0);
}

TEST(EqualPoints, SayHowManyPartsCouldBeEqual) {
  EXPECT_EQ(most_balanced_parts(20000, 6000, 0.05), 3);  // 7,000 a part; of four, 5,250 at most
  EXPECT_EQ(most_balanced_parts(20000, 5250, 0.05), 4);
  EXPECT_EQ(most_balanced_parts(10, 10, 0.05), 1);
  EXPECT_EQ(most_balanced_parts(10, 4, 0.05), 3);  // 3, 3 and 4
}

TEST(FillParts, EmptyPartsAreGivenPointsWhileThereAreDifferentOnes) {
  // Four places, all points at first in one part of five.
  Tensor points(DType::f32, {400, 2});
  for (int64_t i = 0; i < 400; ++i) {
    points.as<float>()[static_cast<size_t>(2 * i)] = static_cast<float>(i % 2);
    points.as<float>()[static_cast<size_t>(2 * i + 1)] = static_cast<float>(i / 2 % 2);
  }
  const MatrixSource source(matrix_view(points));
  PointStream stream(source, cpu_cluster_backend());
  KMeansResult result;
  result.centroids = Tensor(DType::f32, {5, 2});
  result.prices = {0, 9, 9, 9, 9};
  result.assignment.resize(400);
  result.sizes = {400, 0, 0, 0, 0};
  fill_empty_parts(stream, {.parts = 5}, result);
  std::vector<int64_t> sizes = result.sizes;
  std::sort(sizes.begin(), sizes.end());
  EXPECT_EQ(sizes, (std::vector<int64_t>{0, 100, 100, 100, 100}));
  const std::set<uint16_t> used(result.assignment.begin(), result.assignment.end());
  EXPECT_EQ(used.size(), 4U);
}

}  // namespace
}  // namespace hardmoe
