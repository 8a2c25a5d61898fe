#include "cluster/kmeans.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "base/threads.h"
#include "cluster/balance.h"
#include "cluster/nearest.h"
#include "cluster/uneven_clusters.h"
#include "expect_error.h"
#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe {
namespace {

double imbalance(const KMeansResult& result) {
  const auto largest = *std::max_element(result.sizes.begin(), result.sizes.end());
  return static_cast<double>(largest) * static_cast<double>(result.sizes.size()) /
         static_cast<double>(result.assignment.size());
}

TEST(KMeans, MatchesFaissFromTheSameStart) {
  const StateDict reference = load_safetensors(test_file("cluster.safetensors"));
  const Tensor& start = reference.at("kmeans.start");
  const auto inertia = reference.at("kmeans.inertia").as<double>();
  const KMeansResult result = kmeans(matrix_view(reference.at("kmeans.points")),
                                     {.clusters = 10, .iterations = 6, .start = &start});
  ASSERT_EQ(result.iterations.size(), 6U);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(result.iterations[i].inertia, inertia[i], 1e-4 * inertia[i]) << "iteration " << i;
  }
  EXPECT_NEAR(result.inertia, inertia[6], 1e-4 * inertia[6]);
  const auto centroids = reference.at("kmeans.centroids").as<float>();
  for (size_t i = 0; i < centroids.size(); ++i) {
    EXPECT_NEAR(result.centroids.as<float>()[i], centroids[i], 1e-4) << i;
  }
  const auto assignment = reference.at("kmeans.assignment").as<int32_t>();
  for (size_t i = 0; i < assignment.size(); ++i) {
    EXPECT_EQ(result.assignment[i], assignment[i]) << "point " << i;
  }
}

TEST(KMeans, AnIterationNeverRaisesInertia) {
  const Tensor points = uneven_clusters(5000, 20, 30);
  const KMeansResult result = kmeans(matrix_view(points), {.clusters = 12, .iterations = 30});
  double last = INFINITY;
  for (const auto& iteration : result.iterations) {
    EXPECT_EQ(iteration.reseeded, 0);
    EXPECT_LE(iteration.inertia, last * (1 + 1e-7));
    last = iteration.inertia;
  }
  EXPECT_LE(result.inertia, last * (1 + 1e-7));
}

TEST(KMeans, StopsWhereNothingMoves) {
  const Tensor points = Tensor::from(std::vector<float>{0, 1, 10, 11, 20, 21}, {6, 1});
  const KMeansResult result = kmeans(matrix_view(points), {.clusters = 3, .iterations = 50});
  EXPECT_LT(result.iterations.size(), 10U);
  EXPECT_EQ(result.iterations.back().moved, 0);
  EXPECT_NEAR(result.inertia, 6 * 0.25, 1e-6);  // by hand: each point 0.5 from its centre
}

TEST(KMeans, PartsAreEqualWithinTheTolerance) {
  const Tensor points = uneven_clusters(12800, 16, 200);
  for (const int64_t clusters : {8, 64}) {
    const KMeansResult plain = kmeans(matrix_view(points), {.clusters = clusters});
    EXPECT_GT(imbalance(plain), 1.2) << "the data are meant to be uneven";
    const KMeansResult result =
        kmeans(matrix_view(points), {.clusters = clusters, .tolerance = 0.05});
    EXPECT_TRUE(result.balanced);
    const double target = 12800.0 / static_cast<double>(clusters);
    std::vector<int64_t> sizes(static_cast<size_t>(clusters));
    for (const uint16_t part : result.assignment) ++sizes.at(part);
    EXPECT_EQ(sizes, result.sizes);
    for (const int64_t size : sizes) {
      EXPECT_GE(static_cast<double>(size), std::floor(0.95 * target));
      EXPECT_LE(static_cast<double>(size), std::ceil(1.05 * target));
    }
    EXPECT_LT(result.inertia, 1.1 * plain.inertia) << clusters;
    // The assignment is the rule's own answer, under the prices returned.
    std::vector<uint16_t> again(result.assignment.size());
    assign(matrix_view(points), CentroidTable(matrix_view(result.centroids), result.prices), again);
    EXPECT_EQ(again, result.assignment);
    EXPECT_NEAR(std::accumulate(result.prices.begin(), result.prices.end(), 0.0), 0, 1e-2);
  }
}

TEST(KMeans, PricesFromASampleReachTheToleranceToo) {
  const Tensor points = uneven_clusters(20000, 16, 40);
  const KMeansResult result =
      kmeans(matrix_view(points),
             {.clusters = 8, .iterations = 10, .tolerance = 0.02, .price_sample = 2000});
  EXPECT_TRUE(result.balanced);
  EXPECT_LE(imbalance(result), 1.0201);
}

TEST(KMeans, DoesNotDependOnThreads) {
  const Tensor points = uneven_clusters(9000, 33, 50);
  const KMeansParams params{.clusters = 24, .iterations = 6, .tolerance = 0.1};
  const int threads = compute_threads();
  set_compute_threads(1);
  const KMeansResult one = kmeans(matrix_view(points), params);
  set_compute_threads(2);
  const KMeansResult two = kmeans(matrix_view(points), params);
  set_compute_threads(threads);
  EXPECT_EQ(one.assignment, two.assignment);
  EXPECT_EQ(one.prices, two.prices);
  EXPECT_EQ(one.inertia, two.inertia);
  for (size_t i = 0; i < one.centroids.as<float>().size(); ++i) {
    ASSERT_EQ(one.centroids.as<float>()[i], two.centroids.as<float>()[i]);
  }
}

TEST(KMeans, EmptyPartsAreReseeded) {
  const Tensor points = uneven_clusters(3000, 8, 5);
  Tensor start(DType::f32, {6, 8});
  for (int64_t c = 1; c < 6; ++c) {  // five centroids where no point is
    for (int64_t d = 0; d < 8; ++d) {
      start.as<float>()[static_cast<size_t>(c * 8 + d)] = static_cast<float>(1000 * c);
    }
  }
  const KMeansResult result =
      kmeans(matrix_view(points), {.clusters = 6, .iterations = 12, .start = &start});
  EXPECT_EQ(result.iterations[0].smallest, 0);
  EXPECT_EQ(result.iterations[0].reseeded, 5);
  EXPECT_GT(*std::min_element(result.sizes.begin(), result.sizes.end()), 100);
}

TEST(KMeans, EqualPointsEndHonestlyUnbalanced) {
  Tensor points(DType::f32, {1000, 4});  // 900 times one point; no price can part them
  Random random(3, RandomUse::test);
  for (size_t i = 3600; i < 4000; ++i) points.as<float>()[i] = random.normal();
  const KMeansResult result =
      kmeans(matrix_view(points), {.clusters = 4, .iterations = 10, .tolerance = 0.05});
  EXPECT_FALSE(result.balanced);
  EXPECT_GE(imbalance(result), 3.6);
  EXPECT_EQ(std::accumulate(result.sizes.begin(), result.sizes.end(), int64_t{0}), 1000);

  const Tensor same(DType::f32, {50, 3});
  const KMeansResult one = kmeans(matrix_view(same), {.clusters = 5, .tolerance = 0.05});
  EXPECT_EQ(one.sizes, (std::vector<int64_t>{50, 0, 0, 0, 0})) << "ties go to the lower part";
  EXPECT_EQ(one.inertia, 0);
}

TEST(KMeans, TakesOnePointAPartAndOnePart) {
  const Tensor points = Tensor::from(std::vector<float>{0, 3, 9}, {3, 1});
  EXPECT_EQ(kmeans(matrix_view(points), {.clusters = 3, .tolerance = 0.05}).sizes,
            (std::vector<int64_t>{1, 1, 1}));
  const KMeansResult one = kmeans(matrix_view(points), {.clusters = 1, .tolerance = 0.05});
  EXPECT_EQ(one.sizes, (std::vector<int64_t>{3}));
  EXPECT_NEAR(one.inertia, 16 + 1 + 25, 1e-5);
}

TEST(KMeans, RefusesWhatIsImpossible) {
  const Tensor points(DType::f32, {5, 3});
  expect_error([&] { kmeans(matrix_view(points), {.clusters = 6}); },
               {"5 points cannot make 6 clusters"}, ExitStatus::usage);
  expect_error([&] { kmeans(matrix_view(points), {.clusters = 70000}); }, {"found 70000"},
               ExitStatus::usage);
  const Tensor start(DType::f32, {2, 4});
  expect_error([&] { kmeans(matrix_view(points), {.clusters = 2, .start = &start}); },
               {"starting centroids of shape 2×4, expected 2×3"}, ExitStatus::usage);
}

TEST(KMeansStart, DrawsDifferentPointsOfTheData) {
  const Tensor points = uneven_clusters(500, 6, 10);
  const MatrixView rows = matrix_view(points);
  const MatrixSource source(rows);
  const PointStream stream(source, cpu_cluster_backend());
  for (const auto rule : {KMeansStart::plus_plus, KMeansStart::random}) {
    const Tensor start =
        starting_centroids(stream, {.clusters = 20, .seed = 4, .start_rule = rule});
    const MatrixView chosen = matrix_view(start);
    std::vector<int64_t> found;
    for (int64_t k = 0; k < 20; ++k) {
      for (int64_t i = 0; i < rows.rows; ++i) {
        if (std::equal(rows.row(i), rows.row(i) + 6, chosen.row(k))) found.push_back(i);
      }
    }
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found.size(), 20U);
    EXPECT_EQ(std::unique(found.begin(), found.end()), found.end());
  }
}

/// Cut into 13 blocks, of which one stays in memory, the result is one function of the blocks
/// alone.
TEST(KMeans, DoesNotDependOnWhatIsKept) {
  const Tensor points = uneven_clusters(9000, 16, 50);
  const MatrixView rows = matrix_view(points);
  /// The same rows, never to be had in place.
  class Reading final : public RowSource {
   public:
    explicit Reading(MatrixView matrix) : source_(matrix) {}
    int64_t rows() const override { return source_.rows(); }
    int64_t cols() const override { return source_.cols(); }
    void read(int64_t first, int64_t count, float* out) const override {
      source_.read(first, count, out);
    }

   private:
    MatrixSource source_;
  };
  const MatrixSource memory(rows);
  const Reading reading(rows);
  const KMeansParams params{
      .clusters = 24, .iterations = 5, .tolerance = 0.1, .price_sample = 2000};
  PointStream in_place(memory, cpu_cluster_backend(), {.block_rows = 700});
  const KMeansResult whole = kmeans(in_place, params);
  for (const int64_t keep : {int64_t{0}, int64_t{700 * 16 * 4}, int64_t{1} << 30}) {
    PointStream stream(reading, cpu_cluster_backend(), {.keep_bytes = keep, .block_rows = 700});
    EXPECT_EQ(stream.blocks(), 13);
    const KMeansResult result = kmeans(stream, params);
    EXPECT_EQ(result.assignment, whole.assignment);
    EXPECT_EQ(result.prices, whole.prices);
    EXPECT_EQ(result.inertia, whole.inertia);
  }
}

}  // namespace
}  // namespace hardmoe
