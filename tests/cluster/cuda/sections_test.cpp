// Points that do not fit into the device's memory as a whole; by emulation only.
#ifdef HARDMOE_CUDA_EMULATION
#include <gtest/gtest.h>

#include "base/random.h"
#include "cluster/cuda/backend.h"
#include "cluster/kmeans.h"
#include "cluster/pca.h"
#include "emulated_gpu.h"
#include "emulation.h"

namespace hardmoe {
namespace {

Tensor random_rows(int64_t rows, int64_t depth) {
  Random random(21, RandomUse::test);
  Tensor points(DType::f32, {rows, depth});
  for (float& value : points.as<float>()) value = random.normal();
  return points;
}

class ClusterCudaSections : public ::testing::Test {
 protected:
  void TearDown() override { cuda_emulation::gpu_options() = {}; }
};

TEST_F(ClusterCudaSections, ResultsDoNotDependOnTheMemoryThereIs) {
  const Tensor points = random_rows(300, 7);
  constexpr int64_t section = 100 * 7 * sizeof(float);  // rows come in three
  const KMeansParams params = {.clusters = 5, .iterations = 2, .seed = 3, .tolerance = 0.1};
  const auto run = [&](bool kept) {
    auto& gpu = cuda_emulation::gpu_options();
    gpu.busy_when_asked = kept ? 0 : gpu.memory;
    cluster_cuda::ClusterCuda backend(std::make_unique<cluster_cuda::Device>(0), section);
    const auto loaded = backend.load(matrix_view(points));
    const auto& sections = static_cast<cluster_cuda::DevicePoints&>(*loaded).sections;
    EXPECT_EQ(sections.size(), 3U);
    for (const auto& s : sections) EXPECT_EQ(s.data != nullptr, kept);
    const Pca pca = fit_pca(matrix_view(points), 4, false, backend);
    return std::pair(kmeans(matrix_view(points), params, {}, backend),
                     transform(pca, matrix_view(points), backend));
  };
  const auto [kept, kept_rows] = run(true);
  const auto [sent, sent_rows] = run(false);
  EXPECT_EQ(sent.assignment, kept.assignment);
  EXPECT_EQ(sent.inertia, kept.inertia);
  EXPECT_EQ(sent.prices, kept.prices);
  EXPECT_TRUE(std::ranges::equal(sent_rows.as<float>(), kept_rows.as<float>()));
  EXPECT_TRUE(std::ranges::equal(sent.centroids.as<float>(), kept.centroids.as<float>()));
}

// Where it did, kernels would have a race.
TEST(ClusterCudaOrder, ResultsDoNotDependOnTheOrderOfThreads) {
  const Tensor points = random_rows(150, 5);
  const auto run = [&](cuda_emulation::Order order) {
    cuda_emulation::set_order(order);
    cluster_cuda::ClusterCuda backend(std::make_unique<cluster_cuda::Device>(0));
    KMeansResult result = kmeans(matrix_view(points),
                                 {.clusters = 6, .iterations = 2, .tolerance = 0.1}, {}, backend);
    cuda_emulation::set_order(cuda_emulation::Order::ascending);
    return result;
  };
  const KMeansResult expected = run(cuda_emulation::Order::ascending);
  for (const auto order : {cuda_emulation::Order::descending, cuda_emulation::Order::shuffled}) {
    const KMeansResult found = run(order);
    EXPECT_EQ(found.assignment, expected.assignment);
    EXPECT_EQ(found.inertia, expected.inertia);
    EXPECT_EQ(found.prices, expected.prices);
  }
}

}  // namespace
}  // namespace hardmoe
#endif
