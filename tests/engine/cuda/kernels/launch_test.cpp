// Grids as a GPU of 132 multiprocessors (an H100) starts them, for the maps of a ResNet-50's step: no
// more than a GPU takes, and enough for all of it to work.
#include <fmt/format.h>

#include <algorithm>

#include "device_array.h"

#ifdef HARDMOE_CUDA_EMULATION

namespace hardmoe::cuda {
namespace {

constexpr int multiprocessors_of_h100 = 132;

struct Map {
  int64_t side, channels;
};
constexpr Map maps[] = {{112, 64}, {56, 64},   {56, 256}, {28, 128}, {28, 512},
                        {14, 256}, {14, 1024}, {7, 512},  {7, 2048}};

class Launches : public testing::TestWithParam<Precision> {
 protected:
  /// Activations that nobody looks at.
  Activations map() { return {memory_, GetParam()}; }
  float* floats() { return reinterpret_cast<float*>(memory_); }
  NormState state() { return {floats(), floats(), floats(), floats()}; }

  /// Expects one launch at least of so many blocks, and forgets them.
  static void expect_all_work(const cuda_emulation::LaunchesOnly& launches, size_t first) {
    const auto& blocks = launches.blocks();
    ASSERT_GT(blocks.size(), first);
    EXPECT_GE(*std::max_element(blocks.begin() + static_cast<int64_t>(first), blocks.end()),
              multiprocessors_of_h100);
  }

 private:
  alignas(16) unsigned char memory_[64] = {};
};

TEST_P(Launches, OfNormsFillTheGpu) {
  const cuda_emulation::LaunchesOnly launches(multiprocessors_of_h100);
  for (const int64_t batch : {1, 256, 2048}) {
    for (const auto& [side, channels] : maps) {
      SCOPED_TRACE(fmt::format("{} images, {}×{}×{}", batch, side, side, channels));
      const int64_t rows = batch * side * side;
      EXPECT_GT(norm_workspace_floats(rows, channels), 0);
      const size_t first = launches.blocks().size();
      NormStatistics statistics;
      statistics.x = map();
      statistics.rows = rows;
      statistics.channels = channels;
      statistics.gamma = statistics.beta = floats();
      statistics.running_mean = statistics.running_var = floats();
      statistics.state = state();
      statistics.workspace = floats();
      norm_statistics(statistics, nullptr);
      if (batch > 1) expect_all_work(launches, first);
      NormApply apply;
      apply.x = apply.y = apply.residual = map();
      apply.scale = apply.shift = floats();
      apply.relu = true;
      apply.rows = rows;
      apply.channels = channels;
      const size_t second = launches.blocks().size();
      norm_apply(apply, nullptr);
      if (batch > 1) expect_all_work(launches, second);
      NormBackward backward;
      backward.x = backward.dy = backward.dx = map();
      backward.gamma = backward.d_gamma = backward.d_beta = floats();
      backward.state = state();
      backward.relu = true;
      backward.rows = rows;
      backward.channels = channels;
      backward.workspace = floats();
      const size_t third = launches.blocks().size();
      norm_backward(backward, nullptr);
      if (batch > 1) expect_all_work(launches, third);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, Launches, testing::Values(Precision::fp32, Precision::bf16),
                         [](const auto& info) { return name_of(info.param); });

}  // namespace
}  // namespace hardmoe::cuda

#endif
