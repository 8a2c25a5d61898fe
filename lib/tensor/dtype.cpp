#include "tensor/dtype.h"

#include <array>
#include <cstring>

#include "base/error.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#define HARDMOE_HAS_F16C 1
#endif

namespace hardmoe {
namespace {
struct Info {
  std::string_view name;
  size_t size;
};
constexpr std::array<Info, 8> infos = {{{"float32", 4},
                                        {"float64", 8},
                                        {"float16", 2},
                                        {"bfloat16", 2},
                                        {"int64", 8},
                                        {"int32", 4},
                                        {"uint16", 2},
                                        {"uint8", 1}}};

template <class T>
void convert(const T* values, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_arithmetic_v<T>) {
      out[i] = static_cast<float>(values[i]);
    } else {
      out[i] = to_float(values[i]);
    }
  }
}

#ifdef HARDMOE_HAS_F16C
[[gnu::target("avx,f16c")]] int64_t convert_half(const Float16* values, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values + i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(half));
  }
  return i;
}
#endif
}  // namespace

void convert_to_float(DType dtype, const void* values, int64_t count, float* out) {
  switch (dtype) {
    case DType::f32:
      std::memcpy(out, values, static_cast<size_t>(count) * sizeof(float));
      return;
    case DType::f64:
      convert(static_cast<const double*>(values), count, out);
      return;
    case DType::bf16:
      convert(static_cast<const BFloat16*>(values), count, out);
      return;
    case DType::f16: {
      const auto* half = static_cast<const Float16*>(values);
      int64_t done = 0;
#ifdef HARDMOE_HAS_F16C
      if (__builtin_cpu_supports("f16c")) done = convert_half(half, count, out);
#endif
      convert(half + done, count - done, out + done);
      return;
    }
    default:
      fail("expected a tensor of floating-point numbers, found {}", name_of(dtype));
  }
}

size_t size_of(DType dtype) { return infos[static_cast<size_t>(dtype)].size; }
std::string_view name_of(DType dtype) { return infos[static_cast<size_t>(dtype)].name; }

float to_float(Float16 value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000) << 16;
  const uint32_t rest = value.bits & 0x7FFF;
  if (rest >= 0x7C00) return std::bit_cast<float>(sign | 0x7F800000 | (rest & 0x3FF) << 13);
  // Scaling by 2^112 moves the exponent bias from 15 to 127, subnormals included.
  const float magnitude = std::bit_cast<float>(rest << 13) * 0x1p112F;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

Float16 to_float16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const uint32_t rest = bits & 0x7FFFFFFF;
  if (rest > 0x7F800000) return {static_cast<uint16_t>(sign | 0x7E00)};
  if (rest >= 0x477FF000) return {static_cast<uint16_t>(sign | 0x7C00)};
  if (rest < 0x38800000) {  // subnormal: let the adder round at 2^-24
    const float shifted = std::bit_cast<float>(rest) + 0.5F;
    return {static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3F000000))};
  }
  const uint32_t rounded = rest + 0xFFF + (rest >> 13 & 1);
  return {static_cast<uint16_t>(sign | ((rounded - 0x38000000) >> 13))};
}

}  // namespace hardmoe
