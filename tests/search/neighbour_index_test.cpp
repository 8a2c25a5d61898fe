// Nearest rows and near pairs beside all distances in float64 and beside closed forms.
#include "search/neighbour_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "base/random.h"
#include "base/threads.h"
#include "cluster/cosine_distance.h"
#include "cluster/unit_rows.h"

namespace hardmoe {
namespace {

/// Rows around `centres` points, at length 1.
Tensor clustered(int64_t rows, int64_t cols, uint64_t centres, float spread) {
  std::vector<float> points(centres * static_cast<size_t>(cols));
  Random random(1, RandomUse::test);
  for (float& value : points) value = random.normal();
  Tensor made(DType::f32, {rows, cols});
  for (int64_t i = 0; i < rows; ++i) {
    const float* centre = points.data() + random.below(centres) * static_cast<size_t>(cols);
    for (int64_t d = 0; d < cols; ++d) {
      made.as<float>()[static_cast<size_t>(i * cols + d)] = centre[d] + spread * random.normal();
    }
  }
  return unit_rows(matrix_view(made));
}

void set_row(Tensor& rows, int64_t to, int64_t from) {
  const auto width = rows.size(1);
  float* data = rows.as<float>().data();
  std::copy_n(data + from * width, width, data + to * width);
}

/// The rows by 1 − a·b/(|a||b|) in float64, equal ones in their order.
std::vector<Neighbour> by_brute_force(MatrixView rows, const float* query) {
  std::vector<Neighbour> all;
  for (int64_t i = 0; i < rows.rows; ++i) {
    double product = 0, a = 0, b = 0;
    for (int64_t d = 0; d < rows.cols; ++d) {
      product += double{query[d]} * double{rows.row(i)[d]};
      a += double{query[d]} * double{query[d]};
      b += double{rows.row(i)[d]} * double{rows.row(i)[d]};
    }
    all.push_back({i, a * b > 0 ? 1 - product / std::sqrt(a * b) : 1});
  }
  std::ranges::stable_sort(all, {}, &Neighbour::distance);
  return all;
}

void expect_as_brute_force(const NeighbourIndex& search, MatrixView rows, MatrixView queries,
                           int64_t k) {
  const auto found = search.nearest(queries, k);
  ASSERT_EQ(std::ssize(found), queries.rows);
  for (int64_t q = 0; q < queries.rows; ++q) {
    const auto& own = found[static_cast<size_t>(q)];
    const auto expected = by_brute_force(rows, queries.row(q));
    ASSERT_EQ(std::ssize(own), std::min(k, rows.rows));
    for (size_t i = 0; i < own.size(); ++i) {
      EXPECT_EQ(own[i].row, expected[i].row) << "query " << q << ", neighbour " << i;
      EXPECT_NEAR(own[i].distance, expected[i].distance, 1e-14);
    }
  }
}

TEST(ExactIndex, FindsWhatFloat64FindsAndOfEqualRowsTheLower) {
  Tensor rows = clustered(300, 24, 6, 0.5F);
  for (int64_t i = 0; i < 60; ++i) set_row(rows, 5 * i, 7);   // more than are asked for
  std::ranges::fill(rows.as<float>().subspan(24, 24), 0.0F);  // has no direction
  const MatrixView all = matrix_view(rows);
  const auto search = exact_index(all);
  expect_as_brute_force(*search, all, all.slice(0, 40), 10);   // by products of matrices
  expect_as_brute_force(*search, all, all.slice(0, 3), 40);    // one by one
  expect_as_brute_force(*search, all, all.slice(0, 30), 150);  // kept in FAISS's reservoir, no heap
  expect_as_brute_force(*search, all, all.slice(8, 10), std::numeric_limits<int64_t>::max());
}

TEST(ExactIndex, OrdersWhatFloat32CannotTellApart) {
  // Row i is turned by i·1e-5: distances 1 − cos of 1e-10·i²/2, below float32's rounding of cosines.
  constexpr int64_t count = 200, width = 256;
  Tensor rows(DType::f32, {count, width});
  for (int64_t i = 0; i < count; ++i) {
    const int64_t turn = i * 77 % count;  // not in the order of the rows
    for (int64_t d = 0; d < width; ++d) {
      const double side = d % 2 == 0 ? 1 : -1;
      rows.as<float>()[static_cast<size_t>(i * width + d)] =
          static_cast<float>((1 + side * 1e-5 * static_cast<double>(turn)) / 16);
    }
  }
  const MatrixView all = matrix_view(rows);
  const auto found = exact_index(all)->nearest(all.slice(0, 1), 20)[0];
  ASSERT_EQ(found.size(), 20U);
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].row * 77 % count, static_cast<int64_t>(i));
  }
}

/// N directions at equal angles: row i has as many neighbours on each side as fit into the distance.
Tensor circle(int64_t rows) {
  Tensor made(DType::f32, {rows, 2});
  for (int64_t i = 0; i < rows; ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(rows);
    made.as<float>()[static_cast<size_t>(2 * i)] = static_cast<float>(std::cos(angle));
    made.as<float>()[static_cast<size_t>(2 * i + 1)] = static_cast<float>(std::sin(angle));
  }
  return made;
}

std::vector<NearPair> pairs_of(const NeighbourIndex& search, double distance) {
  std::vector<NearPair> pairs;
  search.pairs_within(distance, [&](const NearPair& pair) { pairs.push_back(pair); });
  return pairs;
}

/// Expects all pairs of circle(many) that are at most three steps apart.
void expect_each_pair_once(const NeighbourIndex& index, int64_t many) {
  constexpr int64_t steps = 3;
  const double angle = 2 * std::numbers::pi * (steps + 0.5) / static_cast<double>(many);
  const auto pairs = pairs_of(index, 1 - std::cos(angle));
  std::vector<std::pair<int64_t, int64_t>> seen;
  for (const NearPair& pair : pairs) {
    ASSERT_LT(pair.first, pair.second);
    const int64_t apart = std::min(pair.second - pair.first, many - pair.second + pair.first);
    ASSERT_LE(apart, steps);
    const double turned =
        2 * std::numbers::pi * static_cast<double>(apart) / static_cast<double>(many);
    ASSERT_NEAR(pair.distance, 1 - std::cos(turned), turned * 0x1p-23);  // coordinates are float32
    seen.emplace_back(pair.first, pair.second);
  }
  std::ranges::sort(seen);
  EXPECT_EQ(std::ranges::adjacent_find(seen), seen.end());
  EXPECT_EQ(std::ssize(seen), many * steps);
}

TEST(ExactIndex, GivesEachPairOnce) {
  constexpr int64_t many = 17000;  // more than one block and one tile of rows
  const Tensor rows = circle(many);
  expect_each_pair_once(*exact_index(matrix_view(rows)), many);
}

TEST(ApproximateIndex, GivesEachPairOnceHoweverMuchIsReadAtATime) {
  constexpr int64_t many = 1000;
  const Tensor rows = circle(many);
  for (const int64_t together : {int64_t{1}, 5 * many / 2, 1000 * many}) {
    const auto index = approximate_index(matrix_view(rows), 1, /*probed=*/many, together);
    expect_each_pair_once(*index, many);
  }
}

TEST(ExactIndex, TakesADistanceOfZeroForEqualRows) {
  Tensor rows = clustered(50, 64, 50, 1);
  set_row(rows, 31, 4);
  set_row(rows, 49, 4);
  const auto pairs = pairs_of(*exact_index(matrix_view(rows)), 0);
  ASSERT_EQ(pairs.size(), 3U);
  EXPECT_EQ(pairs[1].first, 4);
  EXPECT_EQ(pairs[1].second, 49);
  EXPECT_EQ(pairs[2].first, 31);
}

/// Returns the share of the exact k nearest that are found.
double recall(const NeighbourIndex& search, MatrixView rows, int64_t k) {
  const auto exact = exact_index(rows)->nearest(rows, k), found = search.nearest(rows, k);
  int64_t common = 0;
  for (size_t q = 0; q < exact.size(); ++q) {
    for (const Neighbour& one : found[q]) {
      common += std::ranges::count(exact[q], one.row, &Neighbour::row);
      EXPECT_EQ(one.distance,
                cosine_distance(rows.row(static_cast<int64_t>(q)), rows.row(one.row), rows.cols));
    }
  }
  return static_cast<double>(common) / static_cast<double>(rows.rows * k);
}

TEST(ApproximateIndex, ReadsSomeListsAndFindsMost) {
  const Tensor rows = clustered(2000, 16, 40, 0.3F);
  const MatrixView all = matrix_view(rows);
  const double few = recall(*approximate_index(all, 1, 1), all, 10);
  const double more = recall(*approximate_index(all, 1, 24), all, 10);  // of 178
  EXPECT_GT(more, 0.95);
  EXPECT_LT(few, more);  // one list has about 11 rows, so that it is no search of all

  const auto pairs = pairs_of(*approximate_index(all, 1, 24), 0.01);
  EXPECT_GT(pairs.size(), pairs_of(*exact_index(all), 0.01).size() * 9 / 10);
  for (const NearPair& pair : pairs) EXPECT_LT(pair.first, pair.second);
}

TEST(ApproximateIndex, IsExactWhereAllListsAreReadWhateverTheThreads) {
  const Tensor rows = clustered(500, 16, 10, 0.5F);
  const MatrixView all = matrix_view(rows);
  expect_as_brute_force(*approximate_index(all, 3, 1000), all, all.slice(0, 30), 5);
  expect_as_brute_force(*approximate_index(all, 3, 1000), all, all.slice(0, 2),
                        std::numeric_limits<int64_t>::max());
  EXPECT_EQ(pairs_of(*approximate_index(all, 3, 1000), 0.05).size(),
            pairs_of(*exact_index(all), 0.05).size());

  const int threads = compute_threads();
  std::vector<std::vector<int64_t>> of_threads;
  for (const int count : {1, 3}) {
    set_compute_threads(count);
    auto& found = of_threads.emplace_back();
    for (const auto& nearest : approximate_index(all, 3, 2)->nearest(all, 5)) {
      for (const Neighbour& one : nearest) found.push_back(one.row);
    }
  }
  set_compute_threads(threads);
  EXPECT_EQ(of_threads[0], of_threads[1]);
}

TEST(CosineDistance, IsExactForNearRowsAndOneWithoutADirection) {
  const float a[] = {1, 0}, b[] = {1, 1e-6F}, opposite[] = {-3, 0}, none[] = {0, 0};
  EXPECT_NEAR(cosine_distance(a, b, 2), 5e-13, 1e-19);  // tan² / 2
  EXPECT_EQ(cosine_distance(a, a, 2), 0);
  EXPECT_EQ(cosine_distance(a, opposite, 2), 2);
  EXPECT_EQ(cosine_distance(a, none, 2), 1);
}

}  // namespace
}  // namespace hardmoe
