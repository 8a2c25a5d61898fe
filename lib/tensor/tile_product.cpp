#include "tensor/tile_product.h"

#include <algorithm>
#include <vector>

#include "base/simd.h"

namespace hardmoe {
namespace {

// Written once with GCC's vector types; always_inline puts the loops into functions compiled for
// one instruction set each, so that a plain distribution build uses the machine's registers.
// target_clones (base/simd.h) will not do here: tile shapes must differ with the vector width.
template <int Lanes>
using Vector [[gnu::vector_size(Lanes * 4), gnu::aligned(4), gnu::may_alias]] = float;

/// A tile of Rows × (Vectors·Lanes) sums.
template <int Lanes, int Rows, int Vectors>
[[gnu::always_inline]] inline void tile(const TileProduct& p, int64_t row, int64_t column) {
  using V = Vector<Lanes>;
  V sum[Rows][Vectors];
  for (int r = 0; r < Rows; ++r) {
    const float* start = p.start + (row + r) * p.start_stride + column;
    for (int v = 0; v < Vectors; ++v) sum[r][v] = *reinterpret_cast<const V*>(start + v * Lanes);
  }
  const int64_t row_stride = p.row_stride;
  const float* a = p.a + row * row_stride;
  const float* b = p.b + column;
  for (int64_t d = 0; d < p.depth; ++d) {
    V right[Vectors];
    for (int v = 0; v < Vectors; ++v) right[v] = *reinterpret_cast<const V*>(b + v * Lanes);
    for (int r = 0; r < Rows; ++r) {
      const float value = a[r * row_stride];
      for (int v = 0; v < Vectors; ++v) sum[r][v] += value * right[v];
    }
    a += p.depth_stride;
    b += p.b_stride;
  }
  for (int r = 0; r < Rows; ++r) {
    float* out = p.out + (row + r) * p.out_stride + column;
    for (int v = 0; v < Vectors; ++v) *reinterpret_cast<V*>(out + v * Lanes) = sum[r][v];
  }
}

/// The rows from `row` on: in tiles of Rows, what is left in smaller ones.
template <int Lanes, int Rows, int Vectors>
[[gnu::always_inline]] inline void all_rows(const TileProduct& p, int64_t column, int64_t row = 0) {
  for (; row + Rows <= p.rows; row += Rows) tile<Lanes, Rows, Vectors>(p, row, column);
  if constexpr (Rows > 1) all_rows<Lanes, Rows / 2, Vectors>(p, column, row);
}

// Tiles for 32 registers (6×4 sums, 4 columns, 1 broadcast) and for 16 (6×2 sums, 2 columns, 1
// broadcast); narrower products take more rows.
template <int Lanes>
[[gnu::always_inline]] inline void product_32(const TileProduct& p) {
  int64_t column = 0;
  for (; column + 4 * Lanes <= p.columns; column += 4 * Lanes) all_rows<Lanes, 6, 4>(p, column);
  switch ((p.columns - column) / Lanes) {
    case 1:
      return all_rows<Lanes, 16, 1>(p, column);
    case 2:
      return all_rows<Lanes, 12, 2>(p, column);
    case 3:
      return all_rows<Lanes, 8, 3>(p, column);
    default:
      return;
  }
}

template <int Lanes>
[[gnu::always_inline]] inline void product_16(const TileProduct& p) {
  int64_t column = 0;
  for (; column + 2 * Lanes <= p.columns; column += 2 * Lanes) all_rows<Lanes, 6, 2>(p, column);
  if (column < p.columns) all_rows<Lanes, 12, 1>(p, column);
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
[[gnu::target("arch=x86-64-v4")]] void product_v4(const TileProduct& p) { product_32<16>(p); }
[[gnu::target("arch=x86-64-v3")]] void product_v3(const TileProduct& p) { product_16<8>(p); }
#define HARDMOE_HAS_X86_LEVELS 1
#endif

void product_any(const TileProduct& p) { product_16<4>(p); }

std::vector<TileLevel> find_levels() {
  std::vector<TileLevel> found;
#ifdef HARDMOE_HAS_X86_LEVELS
  if (__builtin_cpu_supports("x86-64-v4")) found.push_back({"x86-64-v4", 16, 64, product_v4});
  if (__builtin_cpu_supports("x86-64-v3")) found.push_back({"x86-64-v3", 8, 16, product_v3});
#endif
  found.push_back({"portable", 4, 8, product_any});
  return found;
}

}  // namespace

std::span<const TileLevel> tile_levels() {
  static const std::vector<TileLevel> levels = find_levels();
  return levels;
}

void multiply(const TileProduct& product) {
  static const auto function = tile_levels().front().product;
  function(product);
}

}  // namespace hardmoe
