// The GPU's loops of k-means and PCA beside the CPU's: on a GPU in test_gpu_cluster, on the host by
// emulation in test_cluster_cuda.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/random.h"
#include "cluster/balance.h"
#include "cluster/kmeans.h"
#include "cluster/pca.h"

namespace hardmoe {
namespace {

/// Rows around `groups` well-separated centres, of unequal numbers.
Tensor grouped_rows(int64_t rows, int64_t depth, int64_t groups, uint64_t seed) {
  Random random(seed, RandomUse::test);
  std::vector<float> centres(static_cast<size_t>(groups * depth));
  for (float& value : centres) value = 3 * random.normal();
  Tensor points(DType::f32, {rows, depth});
  for (int64_t i = 0; i < rows; ++i) {
    const auto draw = random.below(static_cast<uint64_t>(groups * groups));
    const auto group = static_cast<int64_t>(std::sqrt(static_cast<double>(draw)));
    for (int64_t d = 0; d < depth; ++d) {
      points.as<float>()[static_cast<size_t>(i * depth + d)] =
          centres[static_cast<size_t>(group * depth + d)] + random.normal();
    }
  }
  return points;
}

struct Case {
  int64_t rows, depth, clusters;
};

class ClusterCudaParity : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    try {
      gpu_ = make_cuda_cluster_backend(0);
    } catch (const Error&) {
      GTEST_SKIP() << "no NVIDIA GPU here";
    }
    const Case& c = GetParam();
    points_ = grouped_rows(c.rows, c.depth, 6, 5);
    centroids_ = grouped_rows(c.clusters, c.depth, 6, 5);  // near the same centres
    Random random(7, RandomUse::test);
    for (int64_t k = 0; k < c.clusters; ++k) prices_.push_back(random.normal());
    for (ClusterBackend* backend : {&cpu_cluster_backend(), gpu_.get()}) {
      loaded_.push_back(backend->load(matrix_view(points_)));
    }
  }

  PricedCentroids rule() const { return {matrix_view(centroids_), prices_}; }
  ClusterBackend& cpu() { return cpu_cluster_backend(); }

  std::unique_ptr<ClusterBackend> gpu_;
  Tensor points_, centroids_;
  std::vector<float> prices_;
  std::vector<std::unique_ptr<Points>> loaded_;  ///< the CPU's and the GPU's
};

void expect_near(std::span<const double> found, std::span<const double> expected, double share) {
  ASSERT_EQ(found.size(), expected.size());
  double scale = 0;
  for (const double value : expected) scale = std::max(scale, std::abs(value));
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], share * scale) << "at " << i;
  }
}

TEST_P(ClusterCudaParity, AssignsPointsAsTheCpuDoes) {
  const Case& c = GetParam();
  std::vector<uint16_t> expected(static_cast<size_t>(c.rows), 1), found = expected;
  PassTotals expected_totals(c.clusters, c.depth), totals(c.clusters, c.depth);
  cpu().begin_pass(rule())->assign(*loaded_[0], 0, expected, expected_totals);
  gpu_->begin_pass(rule())->assign(*loaded_[1], 0, found, totals);
  EXPECT_EQ(found, expected);
  EXPECT_EQ(totals.sizes, expected_totals.sizes);
  EXPECT_EQ(totals.moved, expected_totals.moved);
  EXPECT_NEAR(totals.inertia, expected_totals.inertia, 1e-5 * expected_totals.inertia);
  expect_near(totals.sums, expected_totals.sums, 1e-12);

  PassTotals again(c.clusters, c.depth);
  gpu_->begin_pass(rule())->assign(*loaded_[1], 0, found, again);
  EXPECT_EQ(again.sums, totals.sums);  // to the bit
  EXPECT_EQ(again.inertia, totals.inertia);
  EXPECT_EQ(again.moved, 0);
}

TEST_P(ClusterCudaParity, TakesTheLowerCentroidOfEquals) {
  const Case& c = GetParam();
  if (c.clusters < 2) return;
  // The last centroid is a copy of the first and has its price.
  auto values = centroids_.as<float>();
  std::copy_n(values.begin(), c.depth, values.end() - c.depth);
  prices_.back() = prices_.front();
  std::vector<uint16_t> found(static_cast<size_t>(c.rows));
  PassTotals totals(c.clusters, c.depth);
  gpu_->begin_pass(rule())->assign(*loaded_[1], 0, found, totals);
  EXPECT_EQ(totals.sizes.back(), 0);
}

TEST_P(ClusterCudaParity, FindsTheCpusBoundaryAtManyPrices) {
  const Case& c = GetParam();
  const float gap = gpu_->mean_gap(*loaded_[1], rule());
  const float expected_gap = cpu().mean_gap(*loaded_[0], rule());
  if (c.clusters == 1) {
    EXPECT_TRUE(std::isinf(gap));
    return;
  }
  EXPECT_NEAR(gap, expected_gap, 1e-3 * expected_gap);
  Random random(9, RandomUse::test);
  PriceReach reach;
  for (int64_t k = 0; k < c.clusters; ++k) {
    reach.down.push_back(2 * expected_gap * random.uniform());
    reach.up.push_back(2 * expected_gap * random.uniform());
  }
  const auto expected = cpu().find_boundary(*loaded_[0], rule(), reach);
  const auto found = gpu_->find_boundary(*loaded_[1], rule(), reach);
  for (int round = 0; round < 5; ++round) {
    std::vector<float> prices = prices_;
    for (size_t k = 0; k < prices.size(); ++k) {
      prices[k] += random.uniform() * (reach.down[k] + reach.up[k]) - reach.down[k];
    }
    std::vector<int64_t> expected_sizes(prices.size()), sizes(prices.size());
    expected->add_sizes(prices, expected_sizes);
    found->add_sizes(prices, sizes);
    EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), int64_t{0}), c.rows);
    for (size_t k = 0; k < sizes.size(); ++k) {
      EXPECT_LE(std::abs(sizes[k] - expected_sizes[k]), c.rows / 1000) << "part " << k;
    }
  }
}

TEST_P(ClusterCudaParity, SumsTheCpusMoments) {
  const auto depth = static_cast<size_t>(GetParam().depth);
  std::vector<double> expected_sums(depth), sums(depth);
  cpu().add_column_sums(*loaded_[0], expected_sums);
  gpu_->add_column_sums(*loaded_[1], sums);
  expect_near(sums, expected_sums, 1e-12);
  std::vector<float> mean;
  for (const double sum : sums) {
    mean.push_back(static_cast<float>(sum / static_cast<double>(GetParam().rows)));
  }
  std::vector<double> expected_scatter(depth * depth), scatter(depth * depth);
  cpu().add_scatter(*loaded_[0], mean, expected_scatter);
  gpu_->add_scatter(*loaded_[1], mean, scatter);
  for (size_t i = 0; i < depth; ++i) {  // above the diagonal only, which both give
    std::fill_n(expected_scatter.begin() + static_cast<int64_t>(i * depth), i, 0.0);
    std::fill_n(scatter.begin() + static_cast<int64_t>(i * depth), i, 0.0);
  }
  expect_near(scatter, expected_scatter, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ClusterCudaParity,
                         ::testing::Values(Case{1, 1, 1}, Case{17, 3, 2}, Case{301, 19, 7},
                                           Case{300, 33, 70}, Case{530, 2, 32}),
                         [](const auto& test) {
                           return fmt::format("N{}D{}K{}", test.param.rows, test.param.depth,
                                              test.param.clusters);
                         });

std::unique_ptr<ClusterBackend> gpu_or_null() {
  try {
    return make_cuda_cluster_backend(0);
  } catch (const Error&) {
    return nullptr;
  }
}

TEST(ClusterCuda, PcaIsTheCpus) {
  const auto gpu = gpu_or_null();
  if (!gpu) GTEST_SKIP() << "no NVIDIA GPU here";
  const Tensor points = grouped_rows(700, 12, 6, 3);
  const Pca expected = fit_pca(matrix_view(points), 5, true);
  const Pca found = fit_pca(matrix_view(points), 5, true, *gpu);
  expect_near(found.variance, expected.variance, 1e-5);
  const Tensor expected_rows = transform(expected, matrix_view(points));
  const Tensor rows = transform(found, matrix_view(points), *gpu);
  for (size_t i = 0; i < rows.as<float>().size(); ++i) {
    ASSERT_NEAR(rows.as<float>()[i], expected_rows.as<float>()[i], 2e-4) << "at " << i;
  }
}

TEST(ClusterCuda, BalancedPartsAreTheCpus) {
  const auto gpu = gpu_or_null();
  if (!gpu) GTEST_SKIP() << "no NVIDIA GPU here";
  const Tensor points = grouped_rows(480, 8, 6, 4);
  const KMeansParams params = {
      .clusters = 4, .iterations = 3, .seed = 2, .tolerance = 0.05, .price_sample = 240};
  const KMeansResult expected = kmeans(matrix_view(points), params);
  const KMeansResult found = kmeans(matrix_view(points), params, {}, *gpu);
  EXPECT_TRUE(found.balanced);
  EXPECT_NEAR(found.inertia, expected.inertia, 1e-3 * expected.inertia);
  int64_t others = 0;
  for (size_t i = 0; i < found.assignment.size(); ++i) {
    others += found.assignment[i] != expected.assignment[i] ? 1 : 0;
  }
  EXPECT_LE(others, 5);
}

}  // namespace
}  // namespace hardmoe
