// Which images show a part, on centroids whose distances are plain to see.
#include "moe/part_samples.h"

#include <gtest/gtest.h>

namespace hardmoe {
namespace {

/// Two experts at 0 and 10 on a line, images at 0.0, 0.5 … 9.5 and so on.
Partition on_a_line(const std::vector<float>& places) {
  Partition partition;
  Gater& gater = partition.gater;
  gater.kind = PartitionMethod::kmeans;
  gater.experts = 2;
  gater.inputs = 1;
  gater.centroids = Tensor::from<float>({0, 10}, {2, 1});
  gater.prices = {0, 0};
  const Tensor rows = Tensor::from<float>(places, {std::ssize(places), 1});
  partition.assignment = gater.route(matrix_view(rows));
  return partition;
}

TEST(PartSamples, AreNearestToTheCentroidAndAtTheBorder) {
  const std::vector<float> places = {4, 0.5F, 9, 1, 6, 10, 4.5F, 12, 3};
  const Partition partition = on_a_line(places);
  const Tensor rows = Tensor::from<float>(places, {std::ssize(places), 1});
  const auto found = sample_parts(partition, MatrixSource(matrix_view(rows)), 2);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].nearest, (std::vector<int64_t>{1, 3}));  // 0.5, 1
  EXPECT_EQ(found[0].border, (std::vector<int64_t>{6, 0}));   // 4.5, 4
  EXPECT_EQ(found[1].nearest, (std::vector<int64_t>{5, 2}));  // 10, 9
  EXPECT_EQ(found[1].border, (std::vector<int64_t>{4, 2}));   // 6, 9
}

TEST(PartSamples, OfASmallPartAreAllOfIt) {
  const std::vector<float> places = {1, 11};
  const Tensor rows = Tensor::from<float>(places, {2, 1});
  const auto found = sample_parts(on_a_line(places), MatrixSource(matrix_view(rows)), 5);
  EXPECT_EQ(found[1].nearest, std::vector<int64_t>{1});
  EXPECT_EQ(found[1].border, std::vector<int64_t>{1});
}

TEST(PartSamples, LookAtNoMoreThanAskedAndAtAllIfThereAreFewer) {
  std::vector<float> places(10'000);
  for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<float>(i % 7);
  const Partition partition = on_a_line(places);
  const Tensor rows = Tensor::from<float>(places, {std::ssize(places), 1});
  /// Counts the rows that are read.
  class Counting final : public RowSource {
   public:
    explicit Counting(MatrixView matrix) : source_(matrix) {}
    int64_t rows() const override { return source_.rows(); }
    int64_t cols() const override { return source_.cols(); }
    void read(int64_t first, int64_t count, float* out) const override {
      EXPECT_LE(first + count, rows());
      read_ += count;
      source_.read(first, count, out);
    }
    mutable int64_t read_ = 0;

   private:
    MatrixSource source_;
  } counting(matrix_view(rows));
  static_cast<void>(sample_parts(partition, counting, 3, 4096));
  EXPECT_EQ(counting.read_, 4096);
  counting.read_ = 0;
  const auto all = sample_parts(partition, counting, 3);
  EXPECT_EQ(counting.read_, 10'000);
  EXPECT_EQ(all[0].nearest, (std::vector<int64_t>{0, 7, 14})) << "among equals the first";
}

TEST(PartSamples, OfPartsAtRandomHaveNoBorder) {
  const Tensor rows = Tensor(DType::f32, {40, 3});
  const Partition partition =
      partition_images(matrix_view(rows), {}, {.method = PartitionMethod::random, .experts = 2}, 1);
  for (const PartSample& part : sample_parts(partition, MatrixSource(matrix_view(rows)), 4)) {
    EXPECT_EQ(part.nearest.size(), 4U);
    EXPECT_TRUE(part.border.empty());
  }
}

}  // namespace
}  // namespace hardmoe
