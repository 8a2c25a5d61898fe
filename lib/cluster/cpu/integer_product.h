// Products of 16-bit integers with exact 32-bit sums: twice as many a cycle as of float32, and half
// the memory. One set of loops a vector extension. The values are the caller's to scale: a row
// times a column must not reach 2³¹.
#pragma once

#include <cstdint>
#include <span>

namespace hardmoe::cpu {

/// The two least of a row of scores.
struct BestTwo {
  float best, second;
  int32_t index;  ///< a column of the best
};

constexpr int64_t integer_tile_rows = 6;

/// One vector extension's loops.
struct IntegerLevel {
  const char* name;
  int64_t columns;  ///< of a panel of right-hand sides
  /// out[r][at + c] = Σ_d a[r][d] · b(d, c) for r < rows and a panel's columns c, where
  /// b(d, c) = b[(d/2·columns + c)·2 + d%2]. `depth` is even. Fastest for whole tiles of rows.
  void (*product)(const int16_t* const* a, int64_t rows, int64_t depth, const int16_t* b,
                  int32_t* const* out, int64_t at);
  /// Of bias[c] − factor·products[c], c < count, a multiple of 16.
  BestTwo (*best_two)(const int32_t* products, const float* bias, float factor, int64_t count);
  /// Writes the columns with bias[c] − factor·products[c] ≤ limit, ascending; returns how many.
  int64_t (*within)(const int32_t* products, const float* bias, float factor, int64_t count,
                    float limit, uint16_t* columns);
  /// y = x − middle, of `depth` values: its largest magnitude and Σ y².
  void (*measure)(const float* x, const float* middle, int64_t depth, float* largest,
                  float* square);
  /// out[d] = y_d·inverse, rounded.
  void (*quantize)(const float* x, const float* middle, float inverse, int64_t depth, int16_t* out);
  /// start + Σ_d x[d]·(−2 c[d]) in the order of d, each step rounded once: a score as
  /// tensor/tile_product.h makes it.
  float (*chain)(const float* x, const float* c, int64_t depth, float start);
};

/// What this machine can run, fastest first; perhaps nothing.
std::span<const IntegerLevel> integer_levels();

}  // namespace hardmoe::cpu
