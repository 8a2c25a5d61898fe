#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace hardmoe {
namespace {

/// The value of a binary floating-point pattern, from IEEE 754's definition.
double value_of(uint16_t bits, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = bits >> 15 != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * INFINITY;
  }
  return exponent == 0
             ? sign * std::ldexp(fraction, 1 - bias - fraction_bits)
             : sign * std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
}

/// Every pattern reads as IEEE 754 says, survives the way there and back, and every float rounds to
/// the nearer neighbour, midpoints to the even one.
template <class Half, class Convert>
void check_all(int exponent_bits, int fraction_bits, const Convert& narrow) {
  const auto infinity = static_cast<uint16_t>(((1 << exponent_bits) - 1) << fraction_bits);
  for (uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
    const auto bits = static_cast<uint16_t>(pattern);
    const float value = to_float(Half{bits});
    const double expected = value_of(bits, exponent_bits, fraction_bits);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(value));
      const uint16_t again = narrow(value).bits;
      EXPECT_GT(again & 0x7FFF, infinity);
      EXPECT_EQ(again >> 15, bits >> 15);
      continue;
    }
    ASSERT_EQ(static_cast<double>(value), expected) << pattern;
    ASSERT_EQ(std::signbit(value), bits >> 15 != 0) << pattern;
    ASSERT_EQ(narrow(value).bits, bits) << pattern;
    if ((bits & 0x7FFF) >= infinity) continue;
    // The next pattern away from zero; where that is infinity, as if the exponent went on.
    double next = value_of(static_cast<uint16_t>(bits + 1), exponent_bits, fraction_bits);
    if (std::isinf(next)) {
      next = std::copysign(std::ldexp(1, 1 << (exponent_bits - 1)), expected);
    }
    const auto middle = static_cast<float>((expected + next) / 2);
    ASSERT_EQ(static_cast<double>(middle), (expected + next) / 2);
    const auto even = static_cast<uint16_t>(bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(narrow(middle).bits, even) << pattern;
    ASSERT_EQ(narrow(std::nextafter(middle, 0.0F)).bits, bits) << pattern;
    const float beyond = std::nextafter(middle, std::copysign(INFINITY, middle));
    ASSERT_EQ(narrow(beyond).bits, bits + 1) << pattern;
  }
}

TEST(Float16, EveryValueConvertsAsIeee754Says) {
  check_all<Float16>(5, 10, [](float value) { return to_float16(value); });
}

TEST(BFloat16, EveryValueConvertsAsIeee754Says) {
  check_all<BFloat16>(8, 7, [](float value) { return to_bfloat16(value); });
}

TEST(Float16, FarBeyondTheRangeIsInfiniteOrZero) {
  EXPECT_EQ(to_float16(1e30F).bits, 0x7C00);
  EXPECT_EQ(to_float16(-1e30F).bits, 0xFC00);
  EXPECT_EQ(to_float16(1e-30F).bits, 0);
  EXPECT_EQ(to_float16(-std::numeric_limits<float>::denorm_min()).bits, 0x8000);
}

TEST(DType, HasItsSizeAndName) {
  EXPECT_EQ(size_of(DType::f32), 4U);
  EXPECT_EQ(size_of(DType::i64), 8U);
  EXPECT_EQ(size_of(DType::u8), 1U);
  EXPECT_EQ(name_of(DType::bf16), "bfloat16");
  EXPECT_EQ(name_of(DType::u16), "uint16");
}

/// Each of the 65,536 patterns, at every alignment: by vectors and, at the end, one by one.
TEST(Convert, ManyHalvesGiveTheSameAsOneByOne) {
  std::vector<Float16> halves(0x10000);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = {static_cast<uint16_t>(i)};
  for (size_t skip = 0; skip < 9; ++skip) {
    std::vector<float> out(halves.size() - skip);
    convert_to_float(DType::f16, halves.data() + skip, static_cast<int64_t>(out.size()),
                     out.data());
    for (size_t i = 0; i < out.size(); ++i) {
      const double expected = value_of(halves[i + skip].bits, 5, 10);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(out[i]));
      } else {
        ASSERT_EQ(static_cast<double>(out[i]), expected) << halves[i + skip].bits;
      }
    }
  }
}

}  // namespace
}  // namespace hardmoe
