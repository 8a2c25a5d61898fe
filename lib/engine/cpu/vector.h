// Eight floats at a time, in GCC/Clang vector extensions: lowered to whatever the instruction set
// of the enclosing kernel has (see base/simd.h). Not sixteen: without AVX-512 GCC takes comparisons
// of vectors that wide apart, value by value. Loads and stores convert bf16 on the way.
#pragma once

#include <cstdint>
#include <cstring>

#include "tensor/dtype.h"

namespace hardmoe::cpu {

#define HARDMOE_INLINE inline __attribute__((always_inline))

using Vec = float __attribute__((vector_size(32)));
using IntVec = int32_t __attribute__((vector_size(32)));
using HalfVec = uint16_t __attribute__((vector_size(16)));
inline constexpr int64_t lanes = 8;

HARDMOE_INLINE Vec splat(float value) { return Vec{} + value; }

HARDMOE_INLINE Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

HARDMOE_INLINE Vec load(const BFloat16* p) {
  HalfVec half;
  std::memcpy(&half, p, sizeof half);
  return reinterpret_cast<Vec>(__builtin_convertvector(half, IntVec) << 16);
}

HARDMOE_INLINE void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }

/// Rounds to nearest even; a NaN stays one because activations' NaNs have high mantissa bits set.
HARDMOE_INLINE void store(BFloat16* p, Vec v) {
  using Bits = uint32_t __attribute__((vector_size(32)));
  const Bits bits = reinterpret_cast<Bits>(v);
  const Bits rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  const HalfVec half = __builtin_convertvector(rounded, HalfVec);
  std::memcpy(p, &half, sizeof half);
}

/// v where keep > 0, else 0.
HARDMOE_INLINE Vec where_positive(Vec keep, Vec v) {
  return reinterpret_cast<Vec>(reinterpret_cast<IntVec>(v) & (keep > 0));
}

/// The larger; a NaN in `a` stays one.
HARDMOE_INLINE Vec max(Vec a, Vec b) { return a < b ? b : a; }

HARDMOE_INLINE float sum(Vec v) {
  float total = 0;
  for (int64_t i = 0; i < lanes; ++i) total += v[i];
  return total;
}

HARDMOE_INLINE float load_one(const float* p) { return *p; }
HARDMOE_INLINE float load_one(const BFloat16* p) { return to_float(*p); }
HARDMOE_INLINE void store_one(float* p, float value) { *p = value; }
HARDMOE_INLINE void store_one(BFloat16* p, float value) { *p = to_bfloat16(value); }

/// e^x to about 2 ulp: x = n·ln2 + r, a degree-6 polynomial of r, scaled by 2^n. Clamped to ±87.
HARDMOE_INLINE Vec exponential(Vec x) {
  x = x < -87.0F ? splat(-87.0F) : x;
  x = x > 87.0F ? splat(87.0F) : x;
  constexpr float rounder = 12582912.0F;  // 1.5·2^23: adding it leaves the nearest integer
  const Vec shifted = x * 1.44269504F + rounder;
  const Vec n = shifted - rounder;
  const Vec r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  Vec p = splat(1.0F / 720);
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const IntVec exponent = __builtin_convertvector(n, IntVec);
  return reinterpret_cast<Vec>(reinterpret_cast<IntVec>(p) + (exponent << 23));
}

}  // namespace hardmoe::cpu
