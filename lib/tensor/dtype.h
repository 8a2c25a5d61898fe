// Element types of tensors, on disk and in memory, and conversions between them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hardmoe {

/// An element type.
enum class DType : uint8_t { f32, f64, f16, bf16, i64, i32, u16, u8 };

/// Returns the bytes of one element.
size_t size_of(DType dtype);
/// Returns the type's name as NumPy has it: "float32", "uint8", …
std::string_view name_of(DType dtype);

/// The upper 16 bits of a float, rounded to nearest even. NaN stays NaN.
struct BFloat16 {
  uint16_t bits;
};
/// An IEEE 754 half-precision number.
struct Float16 {
  uint16_t bits;
};

inline float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}
inline BFloat16 to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return {static_cast<uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)};
}
float to_float(Float16 value);
Float16 to_float16(float value);

/// Converts `count` values of a floating type (f16, bf16, f32, f64) to float. Throws Error for
/// integers.
void convert_to_float(DType dtype, const void* values, int64_t count, float* out);

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<Float16> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<uint16_t> {
  static constexpr DType value = DType::u16;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

}  // namespace hardmoe
