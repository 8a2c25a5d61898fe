// The loops over tiles for every vector extension of this machine, against the widest one's, which
// convolution_test.cpp compares with the sums that define a convolution.
#include "engine/cpu/winograd_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"
#include "tensor/dtype.h"
#include "tensor/tile_product.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t in_channels = 32, out_channels = 48;

Winograd layer_of(Minimal kind, Precision precision) {
  const bool strided = kind == Minimal::four_strided;
  return {.batch = 2,
          .in_height = 9,
          .in_width = 10,
          .height = strided ? 5 : 9,
          .width = strided ? 5 : 10,
          .in_channels = in_channels,
          .out_channels = out_channels,
          .kind = kind,
          .precision = precision};
}

std::vector<float> normal_values(int64_t count, uint64_t stream) {
  std::vector<float> values(static_cast<size_t>(count));
  Random random(5, RandomUse::test, stream);
  for (float& value : values) value = random.normal();
  return values;
}

/// A map in a layer's precision.
struct Map {
  Map(Precision precision, int64_t count, uint64_t stream)
      : floats(normal_values(count, stream)), two(precision == Precision::bf16) {
    for (const float value : floats) halves.push_back(to_bfloat16(value));
  }
  void* data() { return two ? static_cast<void*>(halves.data()) : floats.data(); }
  std::vector<float> values() const {
    if (!two) return floats;
    std::vector<float> result;
    for (const BFloat16 value : halves) result.push_back(to_float(value));
    return result;
  }
  std::vector<float> floats;
  std::vector<BFloat16> halves;
  bool two;
};

/// All that the loops make of the same arguments, one after another.
std::vector<float> all_of(const WinogradKernels& kernels, const Winograd& layer) {
  const int64_t tiles = layer.tiles(), stride = tiles * out_channels;
  const std::vector<float> zeros(out_channels, 0.0F);
  std::vector<float> found;
  const auto keep = [&](const std::vector<float>& more) {
    found.insert(found.end(), more.begin(), more.end());
  };
  Map x(layer.precision, layer.batch * layer.in_height * layer.in_width * in_channels, 1);
  Map y(layer.precision, layer.batch * layer.height * layer.width * out_channels, 2);
  Map residual(layer.precision, layer.batch * layer.height * layer.width * out_channels, 3);
  const auto bias = normal_values(out_channels, 4);
  std::vector<float> transformed(static_cast<size_t>(layer.components() * stride));
  kernels.transform_patches({layer, {0, tiles}, 0, in_channels, stride}, x.data(), zeros.data(),
                            transformed.data());
  keep(transformed);
  const auto sums = normal_values(layer.components() * stride, 5);
  kernels.write_outputs({layer, {1, tiles}, 16, 32, stride}, sums.data(),
                        {bias.data(), residual.data(), true}, y.data());
  keep(y.values());
  const auto taps = normal_values(9 * in_channels, 6);
  std::vector<float> weights(static_cast<size_t>(layer.weights() * in_channels));
  kernels.transform_weights(layer.kind, taps.data(), in_channels, in_channels, weights.data(),
                            in_channels);
  keep(weights);
  if (layer.kind == Minimal::four_strided) return found;
  kernels.transform_gradients({layer, {0, tiles}, 16, 32, stride}, y.data(), zeros.data(),
                              transformed.data());
  keep(transformed);
  const auto parts = normal_values(3 * layer.weights() * in_channels, 7);
  std::vector<float> gradient(9 * in_channels);
  kernels.gradient_of_weights(layer.kind, parts.data(), in_channels, 3,
                              layer.weights() * in_channels, in_channels, gradient.data(),
                              in_channels);
  keep(gradient);
  return found;
}

TEST(WinogradKernels, AllVectorExtensionsAgree) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    for (const Minimal kind : {Minimal::two, Minimal::four, Minimal::four_strided}) {
      const Winograd layer = layer_of(kind, precision);
      const auto expected = all_of(winograd_kernels(), layer);
      for (const TileLevel& level : tile_levels()) {
        SCOPED_TRACE(level.name);
        const auto found = all_of(winograd_kernels(level.lanes), layer);
        ASSERT_EQ(found.size(), expected.size());
        // Sums are contracted differently; in bf16 outputs may then round to neighbours.
        const float rounding = precision == Precision::bf16 ? 1.0F / 128 : 2e-6F;
        for (size_t i = 0; i < found.size(); ++i) {
          ASSERT_NEAR(found[i], expected[i], rounding * std::max(16.0F, std::abs(expected[i])))
              << "value " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace hardmoe::cpu
