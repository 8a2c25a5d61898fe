#include "cluster/spread.h"

#include <gtest/gtest.h>

#include <cmath>

#include "expect_error.h"
#include "tensor/dtype.h"

namespace hardmoe {
namespace {

Tensor normal_rows(int64_t rows, int64_t depth, float scale = 1, float offset = 0) {
  Random random(3, RandomUse::test);
  Tensor found(DType::f32, {rows, depth});
  for (float& value : found.as<float>()) value = scale * random.normal() + offset;
  return found;
}

Spread spread(const Tensor& points) {
  const MatrixSource source(matrix_view(points));
  return spread_of(PointStream(source, cpu_cluster_backend()), Random(1, RandomUse::test));
}

TEST(Spread, IsTheMeanAndTheVariance) {
  const Tensor points = normal_rows(2000, 5, 2, 1000);
  const Spread found = spread(points);
  for (size_t d = 0; d < 5; ++d) {
    double sum = 0;
    for (size_t i = 0; i < 2000; ++i) sum += double{points.as<float>()[5 * i + d]};
    EXPECT_NEAR(found.centre[d], sum / 2000, 1e-4);
  }
  EXPECT_NEAR(found.variance, 5 * 4, 1);
  EXPECT_NEAR(found.square, 5e6, 1e5);
}

TEST(Spread, RowsFarOffDoNotMoveTheCentre) {
  Tensor points = normal_rows(2000, 5);
  points.as<float>()[100] = 1e9F;
  for (const float value : spread(points).centre) EXPECT_NEAR(value, 0, 0.1);
}

TEST(Spread, TellsTheTypeThatValuesHadBefore) {
  Tensor points = normal_rows(500, 9, 1, 0.3F);
  const MatrixView rows = matrix_view(points);
  EXPECT_DOUBLE_EQ(stored_rounding(rows), 0x1p-24);
  Tensor half = points.clone(), brain = points.clone(), few(DType::f32, {500, 9});
  for (float& value : half.as<float>()) value = to_float(to_float16(value));
  for (float& value : brain.as<float>()) {
    value = std::bit_cast<float>(std::bit_cast<uint32_t>(value) & 0xFFFF0000U);
  }
  for (size_t i = 0; i < 4500; ++i) few.as<float>()[i] = static_cast<float>(i % 5);
  EXPECT_NEAR(stored_rounding(matrix_view(half)), 0x1p-11, 0x1p-14);
  EXPECT_NEAR(stored_rounding(matrix_view(brain)), 0x1p-8, 0x1p-11);
  EXPECT_DOUBLE_EQ(stored_rounding(matrix_view(few)), 0x1p-24) << "small whole numbers are exact";
  EXPECT_DOUBLE_EQ(stored_rounding(matrix_view(Tensor(DType::f32, {10, 3}))), 0x1p-24);
}

TEST(Spread, RefusesWhatHasNoSquareInFloat32) {
  expect_error([] { spread(normal_rows(500, 4, 1e-20F)); },
               {"e-20 apart", "square", "multiply the embedding by 1e20"}, ExitStatus::usage);
  EXPECT_NO_THROW(spread(normal_rows(500, 4, 1e-10F)));
  EXPECT_EQ(spread(Tensor(DType::f32, {50, 4})).variance, 0);  // equal rows have none at any scale
}

TEST(MatrixView, FindsTheFirstRowOutOfRange) {
  Tensor points(DType::f32, {4000, 5});
  EXPECT_EQ(first_row_beyond(matrix_view(points), 1), -1);
  points.as<float>()[3300 * 5 + 4] = NAN;
  EXPECT_EQ(first_row_beyond(matrix_view(points), 1), 3300);
  points.as<float>()[200 * 5] = -INFINITY;
  EXPECT_EQ(first_row_beyond(matrix_view(points), 1), 200);
  points.as<float>()[100 * 5] = -1.5F;
  EXPECT_EQ(first_row_beyond(matrix_view(points), 1), 100);
  EXPECT_EQ(first_row_beyond(matrix_view(points), 1.5F), 200);
  EXPECT_EQ(
      range_problem(std::vector<double>{3, -2e30}),
      "holds a value of magnitude 2e+30, and squared distances of such values overflow float32; "
      "multiply the embedding by 1e-31");
  const float most = most_magnitude(64);
  EXPECT_TRUE(std::isfinite(4 * 64 * most * most * 2048));
}

}  // namespace
}  // namespace hardmoe
