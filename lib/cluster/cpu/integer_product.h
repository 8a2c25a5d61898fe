// Products of 16-bit integers with exact 32-bit sums: twice as many a cycle as in float32, and half
// the memory. There is one set of loops for each vector extension. Callers scale the values: the
// sum of a row times a column must stay below 2³¹.
#pragma once

#include <cstdint>
#include <span>

namespace hardmoe::cpu {

/// The two smallest scores of a row.
struct BestTwo {
  float best, second;
  int32_t index;  ///< the column of `best`
};

constexpr int64_t integer_tile_rows = 6;

/// The loops for one vector extension.
struct IntegerLevel {
  const char* name;
  int64_t columns;  ///< in a panel of right-hand sides
  /// Computes out[r][at + c] = Σ_d a[r][d] · b(d, c) for r < rows and the panel's columns c, where
  /// b(d, c) = b[(d/2·columns + c)·2 + d%2]. `depth` must be even. Fastest for rows in multiples of
  /// integer_tile_rows.
  void (*product)(const int16_t* const* a, int64_t rows, int64_t depth, const int16_t* b,
                  int32_t* const* out, int64_t at);
  /// Returns the two smallest of bias[c] − factor·products[c], c < count, a multiple of 16.
  BestTwo (*best_two)(const int32_t* products, const float* bias, float factor, int64_t count);
  /// Writes the columns with bias[c] − factor·products[c] ≤ limit, ascending, and returns how many.
  int64_t (*within)(const int32_t* products, const float* bias, float factor, int64_t count,
                    float limit, uint16_t* columns);
  /// Computes, for y = x − middle (`depth` values), the largest magnitude and Σ y².
  void (*measure)(const float* x, const float* middle, int64_t depth, float* largest,
                  float* square);
  /// Computes out[d] = (x − middle)[d]·inverse, rounded to an integer.
  void (*quantize)(const float* x, const float* middle, float inverse, int64_t depth, int16_t* out);
  /// Returns start + Σ_d x[d]·(−2 c[d]), added in the order of d with one rounding a step: the same
  /// score, to the bit, as tensor/tile_product.h computes.
  float (*chain)(const float* x, const float* c, int64_t depth, float start);
};

/// Returns the extensions this machine can run, fastest first; may be empty.
std::span<const IntegerLevel> integer_levels();

}  // namespace hardmoe::cpu
