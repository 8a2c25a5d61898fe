#include "cluster/pca.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "expect_error.h"
#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe {
namespace {

const StateDict& reference() {
  static const StateDict tensors = load_safetensors(test_file("cluster.safetensors"));
  return tensors;
}

void expect_near(std::span<const float> found, const Tensor& expected, double tolerance) {
  const auto values = expected.as<double>();
  ASSERT_EQ(found.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(found[i], values[i], tolerance) << i;
}

TEST(Pca, MatchesNumPy) {
  const MatrixView data = matrix_view(reference().at("pca.data"));
  const Pca pca = fit_pca(data, 11, false);
  expect_near(pca.mean.as<float>(), reference().at("pca.mean"), 1e-5);
  expect_near(pca.components.as<float>(), reference().at("pca.components"), 2e-5);
  const auto variance = reference().at("pca.variance").as<double>();
  for (size_t p = 0; p < 11; ++p) EXPECT_NEAR(pca.variance[p], variance[p], 1e-5 * variance[p]);
  EXPECT_NEAR(pca.total_variance, reference().at("pca.total").as<double>()[0], 1e-2);
  const Tensor projected = transform(pca, data);
  expect_near(projected.as<float>(), reference().at("pca.projected"), 2e-3);
}

TEST(Pca, WhitenedDimensionsAreUncorrelatedWithUnitVariance) {
  const MatrixView data = matrix_view(reference().at("pca.data"));
  const Tensor projected = transform(fit_pca(data, 11, true), data);
  const MatrixView z = matrix_view(projected);
  for (int64_t p = 0; p < z.cols; ++p) {
    for (int64_t q = 0; q <= p; ++q) {
      double sum = 0;
      for (int64_t i = 0; i < z.rows; ++i) sum += double{z.row(i)[p]} * double{z.row(i)[q]};
      EXPECT_NEAR(sum / static_cast<double>(z.rows - 1), p == q ? 1 : 0, 1e-4) << p << " " << q;
    }
  }
}

TEST(Pca, DirectionsWithoutVarianceAreLeftOutWhenWhitened) {
  Tensor data(DType::f32, {50, 3});  // the third column repeats the first, the second is constant
  for (int64_t i = 0; i < 50; ++i) {
    const float value = std::sin(static_cast<float>(i));
    float* row = data.as<float>().data() + 3 * i;
    row[0] = row[2] = value;
    row[1] = 4;
  }
  const Pca pca = fit_pca(matrix_view(data), 3, true);
  EXPECT_NEAR(pca.variance[0], pca.total_variance, 1e-9);
  EXPECT_EQ(pca.outputs(), 1);
  EXPECT_EQ(fit_pca(matrix_view(data), 3, false).outputs(), 3);
  const Tensor same(DType::f32, {50, 3});
  const Pca none = fit_pca(matrix_view(same), 3, true);
  EXPECT_EQ(none.outputs(), 1);
  for (const float weight : none.components.as<float>()) EXPECT_EQ(weight, 0);
}

TEST(Pca, RoundingIsMeasuredByTheValuesOfADirection) {
  // Column 0 is 1,000 and its rounding; column 1 varies by less than that, and truly.
  Tensor data(DType::f32, {2000, 3});
  for (int64_t i = 0; i < 2000; ++i) {
    float* row = data.as<float>().data() + 3 * i;
    row[0] = 1000 + (i % 2 == 0 ? 0.25F : -0.25F);
    row[1] = 0.1F * std::sin(static_cast<float>(i));
    row[2] = 3 * std::cos(0.7F * static_cast<float>(i));
  }
  EXPECT_EQ(fit_pca(matrix_view(data), 3, true).outputs(), 3);
  const Pca half = fit_pca(matrix_view(data), 3, true, cpu_cluster_backend(), 0x1p-11);
  ASSERT_EQ(half.outputs(), 2);
  EXPECT_NEAR(half.variance[0], 4.5, 0.1);
  EXPECT_NEAR(half.variance[1], 0.005, 1e-3);
}

TEST(Pca, WithoutComponentsSubtractsTheMean) {
  const Tensor rows = Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  const Pca pca = centred_at(std::vector<float>{1, 0, -1});
  EXPECT_FALSE(pca.rotates());
  EXPECT_EQ(pca.inputs(), 3);
  EXPECT_EQ(pca.outputs(), 3);
  const Tensor found = transform(pca, matrix_view(rows));
  const std::vector<float> expected = {0, 2, 4, 3, 5, 7};
  EXPECT_TRUE(std::ranges::equal(found.as<float>(), expected));
}

TEST(Pca, DoesNotDependOnThreads) {
  Tensor data(DType::f32, {5000, 70});
  for (auto [i, values] = std::pair{size_t{0}, data.as<float>()}; i < values.size(); ++i) {
    values[i] = std::sin(0.37F * static_cast<float>(i * i % 10007)) + 3;
  }
  const int threads = compute_threads();
  set_compute_threads(1);
  const Tensor one = transform(fit_pca(matrix_view(data), 5, true), matrix_view(data));
  set_compute_threads(3);
  const Tensor three = transform(fit_pca(matrix_view(data), 5, true), matrix_view(data));
  set_compute_threads(threads);
  for (size_t i = 0; i < one.as<float>().size(); ++i) {
    ASSERT_EQ(one.as<float>()[i], three.as<float>()[i]) << i;
  }
}

TEST(Pca, RefusesWhatIsImpossible) {
  const Tensor data(DType::f32, {5, 3});
  expect_error([&] { fit_pca(matrix_view(data), 4, false); }, {"expected 1 to 3 components"},
               ExitStatus::usage);
  expect_error([&] { fit_pca(matrix_view(data).slice(0, 1), 2, false); }, {"at least 2 rows"},
               ExitStatus::usage);
  const Pca pca = fit_pca(matrix_view(data), 2, false);
  const Tensor wider(DType::f32, {5, 4});
  expect_error([&] { transform(pca, matrix_view(wider)); }, {"rows of 4 values, expected 3"});
}

}  // namespace
}  // namespace hardmoe
