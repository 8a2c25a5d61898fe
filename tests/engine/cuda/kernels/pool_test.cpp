// Pooling on the device against the definition (max) and the CPU engine's kernels (average).
#include <fmt/format.h>

#include <limits>

#include "device_array.h"

namespace hardmoe::cuda {
namespace {

using Pools = CudaKernels;

MaxPoolShape pool_of(int64_t n, int64_t height, int64_t width, int64_t channels, int kernel,
                     int stride, int padding) {
  return {n,
          height,
          width,
          channels,
          (height + 2 * padding - kernel) / stride + 1,
          (width + 2 * padding - kernel) / stride + 1,
          kernel,
          stride,
          padding};
}

struct Reference {
  Floats y, dx;
  std::vector<uint8_t> index;
};

Reference defined(const MaxPoolShape& pool, const Floats& x, const Floats& dy) {
  const auto size = static_cast<size_t>(pool.n * pool.out_height * pool.out_width * pool.channels);
  Reference result{Floats(size), Floats(x.size()), std::vector<uint8_t>(size)};
  size_t at = 0;
  for (int64_t image = 0; image < pool.n; ++image) {
    for (int64_t i = 0; i < pool.out_height; ++i) {
      for (int64_t j = 0; j < pool.out_width; ++j) {
        for (int64_t c = 0; c < pool.channels; ++c, ++at) {
          bool any = false;
          size_t best = 0;
          for (int place = 0; place < pool.kernel * pool.kernel; ++place) {
            const int64_t row = i * pool.stride - pool.padding + place / pool.kernel;
            const int64_t column = j * pool.stride - pool.padding + place % pool.kernel;
            if (row < 0 || row >= pool.height || column < 0 || column >= pool.width) continue;
            const auto from = static_cast<size_t>(
                ((image * pool.height + row) * pool.width + column) * pool.channels + c);
            const bool wins =
                !any || x[from] > x[best] || (std::isnan(x[from]) && !std::isnan(x[best]));
            if (!wins) continue;
            any = true;
            best = from;
            result.index[at] = static_cast<uint8_t>(place);
          }
          result.y[at] = x[best];
          result.dx[best] += dy[at];
        }
      }
    }
  }
  return result;
}

TEST_P(Pools, MaxEqualsItsDefinition) {
  const MaxPoolShape cases[] = {
      pool_of(2, 8, 8, 16, 3, 2, 1),  pool_of(1, 7, 9, 8, 3, 2, 1),
      pool_of(3, 5, 4, 3, 3, 2, 1),   pool_of(1, 1, 1, 8, 3, 2, 1),
      pool_of(2, 6, 6, 20, 2, 2, 0),  pool_of(1, 9, 7, 12, 3, 1, 1),
      pool_of(1, 11, 11, 8, 5, 3, 2), pool_of(1, 16, 16, 4, 15, 1, 7),
      pool_of(1, 4, 300, 8, 3, 2, 1), pool_of(1, 13, 13, 8, 2, 5, 0),  // gaps between windows
  };
  for (const MaxPoolShape& pool : cases) {
    SCOPED_TRACE(fmt::format("{}×{}×{}×{}, {}×{}/{}", pool.n, pool.height, pool.width,
                             pool.channels, pool.kernel, pool.kernel, pool.stride));
    const int64_t in = pool.n * pool.height * pool.width * pool.channels;
    const int64_t out = pool.n * pool.out_height * pool.out_width * pool.channels;
    Floats x = rounded(precision(), draws(in, 1));
    for (float& v : x) v = std::max(v, -0.5F);  // so that many are equal, as after a ReLU
    x[0] = std::numeric_limits<float>::quiet_NaN();
    x[x.size() - 1] = -std::numeric_limits<float>::infinity();
    const Floats dy = rounded(precision(), draws(out, 2));
    const Reference expected = defined(pool, x, dy);
    const DeviceActivations from(precision(), x), y(precision(), dy.size());
    const DeviceActivations slopes(precision(), dy), dx(precision(), x.size());
    const Device<uint8_t> index(dy.size());
    max_pool(pool, from.view(), y.view(), index.data(), nullptr);
    expect_near(y.host(), expected.y, 0);
    EXPECT_EQ(index.host(), expected.index);
    const DeviceActivations alone(precision(), dy.size());
    max_pool(pool, from.view(), alone.view(), nullptr, nullptr);
    expect_near(alone.host(), expected.y, 0);
    max_pool_backward(pool, slopes.view(), index.data(), dx.view(), nullptr);
    expect_near(dx.host(), rounded(precision(), expected.dx), is_bf16() ? 0x1p-7 : 1e-6);
  }
}

TEST_P(Pools, WindowsHaveALimit) {
  const MaxPoolShape pool = pool_of(1, 20, 20, 8, 16, 1, 0);
  EXPECT_THROW(max_pool(pool, {nullptr, precision()}, {nullptr, precision()}, nullptr, nullptr),
               Error);
}

TEST_P(Pools, AverageEqualsTheCpus) {
  for (const int64_t channels : {1, 10, 16, 67, 512}) {
    for (const int64_t positions : {1, 35, 49}) {
      const int64_t n = 3;
      SCOPED_TRACE(fmt::format("{} positions, {} channels", positions, channels));
      const Floats values = draws(n * positions * channels, 8);
      const auto size = static_cast<size_t>(n * channels);
      HostActivations x(precision(), values);
      Floats expected(size);
      cpu::average_pool(x.view(), n, positions, channels, expected.data());
      const auto found = same_every_time([&] {
        const DeviceActivations in(precision(), values);
        const Device<float> out(size);
        average_pool(in.view(), n, positions, channels, out.data(), nullptr);
        return std::vector<Floats>{out.host()};
      });
      expect_near(found[0], expected, 1e-6);

      HostActivations dy(precision(), expected), dx(precision(), Floats(values.size()));
      cpu::average_pool_backward(dy.view(), n, positions, channels, dx.view());
      const DeviceActivations slopes(precision(), expected), out(precision(), values.size());
      average_pool_backward(slopes.view(), n, positions, channels, out.view(), nullptr);
      expect_near(out.host(), dx.host(), 0);
      // A gradient of the other precision.
      const Precision other = is_bf16() ? Precision::fp32 : Precision::bf16;
      const DeviceActivations mixed(other, expected), out2(precision(), values.size());
      average_pool_backward(mixed.view(), n, positions, channels, out2.view(), nullptr);
      expect_near(out2.host(), dx.host(), 0x1p-7);
    }
  }
}

HARDMOE_BOTH_PRECISIONS(Pools);

#ifndef HARDMOE_CUDA_EMULATION
// More images and lines than a grid has blocks along y; too many threads to emulate.
TEST_P(Pools, TakeAnyNumberOfImages) {
  const MaxPoolShape pool = pool_of(70'000, 2, 2, 8, 2, 2, 0);
  const Floats x = rounded(precision(), draws(70'000 * 4 * 8, 3));
  const Floats dy = rounded(precision(), draws(70'000 * 8, 4));
  const Reference expected = defined(pool, x, dy);
  const DeviceActivations from(precision(), x), y(precision(), dy.size());
  const DeviceActivations slopes(precision(), dy), dx(precision(), x.size());
  const Device<uint8_t> index(dy.size());
  const Device<float> means(dy.size());
  max_pool(pool, from.view(), y.view(), index.data(), nullptr);
  expect_near(y.host(), expected.y, 0);
  max_pool_backward(pool, slopes.view(), index.data(), dx.view(), nullptr);
  expect_near(dx.host(), expected.dx, 0);
  average_pool(from.view(), 70'000, 4, 8, means.data(), nullptr);
  HostActivations host(precision(), x);
  Floats averages(dy.size());
  cpu::average_pool(host.view(), 70'000, 4, 8, averages.data());
  expect_near(means.host(), averages, 1e-6);
}
#endif

}  // namespace
}  // namespace hardmoe::cuda
