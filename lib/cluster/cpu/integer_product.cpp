#include "cluster/cpu/integer_product.h"

#include <algorithm>
#include <cmath>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#define HARDMOE_HAS_X86_INTEGERS 1
#endif

namespace hardmoe::cpu {
namespace {

#ifdef HARDMOE_HAS_X86_INTEGERS

/// Two adjacent values of a row, to be multiplied with two of each column.
inline int32_t pair_at(const int16_t* a) {
  int32_t pair = 0;
  __builtin_memcpy(&pair, a, sizeof pair);
  return pair;
}

/// Rows × 16 sums: 12 of 16 registers for 6 rows.
template <int Rows>
[[gnu::target("avx2"), gnu::always_inline]] inline void tile_avx2(const int16_t* const* a,
                                                                  int64_t depth, const int16_t* b,
                                                                  int32_t* const* out, int64_t at) {
  const int16_t* row[Rows];
  for (int r = 0; r < Rows; ++r) row[r] = a[r];
  __m256i sum[Rows][2];
  for (int r = 0; r < Rows; ++r) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
  for (int64_t d = 0; d < depth; d += 2, b += 32) {
    const __m256i left = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
    const __m256i right = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + 16));
    for (int r = 0; r < Rows; ++r) {
      const __m256i pair = _mm256_set1_epi32(pair_at(row[r] + d));
      sum[r][0] = _mm256_add_epi32(sum[r][0], _mm256_madd_epi16(pair, left));
      sum[r][1] = _mm256_add_epi32(sum[r][1], _mm256_madd_epi16(pair, right));
    }
  }
  for (int r = 0; r < Rows; ++r) {
    auto* target = reinterpret_cast<__m256i*>(out[r] + at);
    _mm256_storeu_si256(target, sum[r][0]);
    _mm256_storeu_si256(target + 1, sum[r][1]);
  }
}

[[gnu::target("avx2")]] void product_avx2(const int16_t* const* a, int64_t rows, int64_t depth,
                                          const int16_t* b, int32_t* const* out, int64_t at) {
  int64_t r = 0;
  for (; r + integer_tile_rows <= rows; r += integer_tile_rows) {
    tile_avx2<integer_tile_rows>(a + r, depth, b, out + r, at);
  }
  for (; r < rows; ++r) tile_avx2<1>(a + r, depth, b, out + r, at);
}

/// Rows × 64 sums: 24 of 32 registers for 6 rows.
template <int Rows>
[[gnu::target("avx512f,avx512bw,avx512vnni"), gnu::always_inline]] inline void tile_vnni(
    const int16_t* const* a, int64_t depth, const int16_t* b, int32_t* const* out, int64_t at) {
  const int16_t* row[Rows];
  for (int r = 0; r < Rows; ++r) row[r] = a[r];
  __m512i sum[Rows][4];
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < 4; ++v) sum[r][v] = _mm512_setzero_si512();
  }
  for (int64_t d = 0; d < depth; d += 2, b += 128) {
    __m512i right[4];
    for (int v = 0; v < 4; ++v) right[v] = _mm512_loadu_si512(b + 32 * v);
    for (int r = 0; r < Rows; ++r) {
      const __m512i pair = _mm512_set1_epi32(pair_at(row[r] + d));
      for (int v = 0; v < 4; ++v) sum[r][v] = _mm512_dpwssd_epi32(sum[r][v], pair, right[v]);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < 4; ++v) _mm512_storeu_si512(out[r] + at + 16 * v, sum[r][v]);
  }
}

[[gnu::target("avx512f,avx512bw,avx512vnni")]] void product_vnni(const int16_t* const* a,
                                                                 int64_t rows, int64_t depth,
                                                                 const int16_t* b,
                                                                 int32_t* const* out, int64_t at) {
  int64_t r = 0;
  for (; r + integer_tile_rows <= rows; r += integer_tile_rows) {
    tile_vnni<integer_tile_rows>(a + r, depth, b, out + r, at);
  }
  for (; r < rows; ++r) tile_vnni<1>(a + r, depth, b, out + r, at);
}

/// Merges two sides: each lane keeps the two best of both.
[[gnu::target("avx2,fma"), gnu::always_inline]] inline void fold(__m256 other_best,
                                                                 __m256 other_second,
                                                                 __m256i other_where, __m256& best,
                                                                 __m256& second, __m256i& where) {
  const __m256 less = _mm256_cmp_ps(other_best, best, _CMP_LT_OQ);
  second = _mm256_min_ps(_mm256_min_ps(second, other_second), _mm256_max_ps(best, other_best));
  best = _mm256_min_ps(best, other_best);
  where = _mm256_blendv_epi8(where, other_where, _mm256_castps_si256(less));
}

[[gnu::target("avx2,fma")]] BestTwo best_two_avx2(const int32_t* products, const float* bias,
                                                  float factor, int64_t count) {
  const __m256 factors = _mm256_set1_ps(factor);
  // Two chains of eight lanes each hide the latency of the comparisons.
  __m256 best[2], second[2];
  __m256i where[2], column[2];
  for (int v = 0; v < 2; ++v) {
    best[v] = second[v] = _mm256_set1_ps(INFINITY);
    column[v] =
        _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(8 * v));
    where[v] = column[v];
  }
  for (int64_t c = 0; c < count; c += 16) {
    for (int v = 0; v < 2; ++v) {
      const __m256 product = _mm256_cvtepi32_ps(
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(products + c + 8 * v)));
      const __m256 score = _mm256_fnmadd_ps(factors, product, _mm256_loadu_ps(bias + c + 8 * v));
      const __m256 less = _mm256_cmp_ps(score, best[v], _CMP_LT_OQ);
      second[v] = _mm256_min_ps(second[v], _mm256_max_ps(score, best[v]));
      best[v] = _mm256_min_ps(score, best[v]);
      where[v] = _mm256_blendv_epi8(where[v], column[v], _mm256_castps_si256(less));
      column[v] = _mm256_add_epi32(column[v], _mm256_set1_epi32(16));
    }
  }
  fold(best[1], second[1], where[1], best[0], second[0], where[0]);
  // Merge halves, then quarters, then neighbours of the eight lanes.
  fold(_mm256_permute2f128_ps(best[0], best[0], 1), _mm256_permute2f128_ps(second[0], second[0], 1),
       _mm256_permute2x128_si256(where[0], where[0], 1), best[0], second[0], where[0]);
  fold(_mm256_permute_ps(best[0], 0x4E), _mm256_permute_ps(second[0], 0x4E),
       _mm256_shuffle_epi32(where[0], 0x4E), best[0], second[0], where[0]);
  fold(_mm256_permute_ps(best[0], 0xB1), _mm256_permute_ps(second[0], 0xB1),
       _mm256_shuffle_epi32(where[0], 0xB1), best[0], second[0], where[0]);
  return {_mm256_cvtss_f32(best[0]), _mm256_cvtss_f32(second[0]),
          _mm_cvtsi128_si32(_mm256_castsi256_si128(where[0]))};
}

[[gnu::target("avx2,fma")]] int64_t within_avx2(const int32_t* products, const float* bias,
                                                float factor, int64_t count, float limit,
                                                uint16_t* columns) {
  const __m256 factors = _mm256_set1_ps(factor), limits = _mm256_set1_ps(limit);
  int64_t found = 0;
  for (int64_t c = 0; c < count; c += 8) {
    const __m256 product =
        _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(products + c)));
    const __m256 score = _mm256_fnmadd_ps(factors, product, _mm256_loadu_ps(bias + c));
    auto mask = static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(score, limits, _CMP_LE_OQ)));
    for (; mask != 0; mask &= mask - 1) {
      columns[found++] = static_cast<uint16_t>(c + __builtin_ctz(mask));
    }
  }
  return found;
}

[[gnu::target("avx2,fma")]] void measure_avx2(const float* x, const float* middle, int64_t depth,
                                              float* largest, float* square) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
  __m256 most = _mm256_setzero_ps(), sum[2] = {most, most};
  int64_t d = 0;
  for (; d + 16 <= depth; d += 16) {
    for (int v = 0; v < 2; ++v) {
      const __m256 y =
          _mm256_sub_ps(_mm256_loadu_ps(x + d + 8 * v), _mm256_loadu_ps(middle + d + 8 * v));
      sum[v] = _mm256_fmadd_ps(y, y, sum[v]);
      most = _mm256_max_ps(most, _mm256_and_ps(y, magnitude));
    }
  }
  alignas(32) float mosts[8], sums[8];
  _mm256_store_ps(mosts, most);
  _mm256_store_ps(sums, _mm256_add_ps(sum[0], sum[1]));
  *largest = 0;
  *square = 0;
  for (int l = 0; l < 8; ++l) {
    *largest = std::max(*largest, mosts[l]);
    *square += sums[l];
  }
  for (; d < depth; ++d) {
    const float y = x[d] - middle[d];
    *largest = std::max(*largest, std::abs(y));
    *square += y * y;
  }
}

[[gnu::target("avx2,fma")]] void quantize_avx2(const float* x, const float* middle, float inverse,
                                               int64_t depth, int16_t* out) {
  const __m256 scale = _mm256_set1_ps(inverse);
  int64_t d = 0;
  for (; d + 16 <= depth; d += 16) {
    __m256i whole[2];
    for (int v = 0; v < 2; ++v) {
      const __m256 y =
          _mm256_sub_ps(_mm256_loadu_ps(x + d + 8 * v), _mm256_loadu_ps(middle + d + 8 * v));
      whole[v] = _mm256_cvtps_epi32(_mm256_mul_ps(y, scale));
    }
    // Packing interleaves the halves of registers: restore the order.
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(whole[0], whole[1]), 0xD8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + d), packed);
  }
  for (; d < depth; ++d) out[d] = static_cast<int16_t>(std::lrint((x[d] - middle[d]) * inverse));
}

[[gnu::target("avx2,fma")]] float chain_fma(const float* x, const float* c, int64_t depth,
                                            float start) {
  float sum = start;
  for (int64_t d = 0; d < depth; ++d) sum = __builtin_fmaf(x[d], -2 * c[d], sum);
  return sum;
}

#endif

std::vector<IntegerLevel> find_levels() {
  std::vector<IntegerLevel> found;
#ifdef HARDMOE_HAS_X86_INTEGERS
  const IntegerLevel avx2{"avx2",      16,           product_avx2,  best_two_avx2,
                          within_avx2, measure_avx2, quantize_avx2, chain_fma};
  if (__builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512vnni")) {
    IntegerLevel vnni = avx2;
    vnni.name = "avx512-vnni";
    vnni.columns = 64;
    vnni.product = product_vnni;
    found.push_back(vnni);
  }
  if (__builtin_cpu_supports("x86-64-v3")) found.push_back(avx2);
#endif
  return found;
}

}  // namespace

std::span<const IntegerLevel> integer_levels() {
  static const std::vector<IntegerLevel> levels = find_levels();
  return levels;
}

}  // namespace hardmoe::cpu
