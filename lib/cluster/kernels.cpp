#include "cluster/kernels.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/simd.h"

namespace hardmoe {
namespace {

// The loops are written once with GCC's vector types; always_inline puts them into functions
// compiled for one instruction set each, so that a plain distribution build uses the machine's
// registers. target_clones (base/simd.h) will not do here: tile shapes must differ with the vector
// width.
template <int Lanes>
using Vector [[gnu::vector_size(Lanes * 4), gnu::aligned(4), gnu::may_alias]] = float;
template <int Lanes>
using Integers [[gnu::vector_size(Lanes * 4), gnu::aligned(4), gnu::may_alias]] = int32_t;

/// Rows × (Vectors·Lanes) sums held in registers over the whole depth.
template <int Lanes, int Rows, int Vectors>
[[gnu::always_inline]] inline void tile(const PanelProduct& p, int64_t first_row) {
  using V = Vector<Lanes>;
  V sum[Rows][Vectors];
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) sum[r][v] = *reinterpret_cast<const V*>(p.bias + v * Lanes);
  }
  const int64_t row_stride = p.row_stride;
  const float* a = p.a + first_row * row_stride;
  const float* panel = p.panel;
  for (int64_t d = 0; d < p.depth; ++d) {
    V b[Vectors];
    for (int v = 0; v < Vectors; ++v) b[v] = *reinterpret_cast<const V*>(panel + v * Lanes);
    for (int r = 0; r < Rows; ++r) {
      const float value = a[r * row_stride];
      for (int v = 0; v < Vectors; ++v) sum[r][v] += value * b[v];
    }
    a += p.depth_stride;
    panel += Vectors * Lanes;
  }
  for (int r = 0; r < Rows; ++r) {
    float* out = p.out + (first_row + r) * p.out_stride;
    for (int v = 0; v < Vectors; ++v) *reinterpret_cast<V*>(out + v * Lanes) = sum[r][v];
  }
}

template <int Lanes, int Rows, int Vectors>
[[gnu::always_inline]] inline void all_rows(const PanelProduct& p) {
  int64_t r = 0;
  for (; r + Rows <= p.rows; r += Rows) tile<Lanes, Rows, Vectors>(p, r);
  for (; r < p.rows; ++r) tile<Lanes, 1, Vectors>(p, r);
}

template <int Lanes>
[[gnu::always_inline]] inline void nearest_columns(const float* scores, int64_t rows,
                                                   int64_t columns, int32_t* index) {
  using V = Vector<Lanes>;
  using I = Integers<Lanes>;
  I first;
  for (int l = 0; l < Lanes; ++l) first[l] = l;
  for (int64_t r = 0; r < rows; ++r, scores += columns) {
    V best = *reinterpret_cast<const V*>(scores);
    I where = first;
    for (int64_t c = Lanes; c < columns; c += Lanes) {
      const V score = *reinterpret_cast<const V*>(scores + c);
      const I less = score < best;
      best = less ? score : best;
      where = less ? first + static_cast<int32_t>(c) : where;
    }
    // Each lane holds its own first minimum; halve until one is left, lower columns winning ties.
    float value[Lanes];
    int32_t column[Lanes];
    std::memcpy(value, &best, sizeof value);
    std::memcpy(column, &where, sizeof column);
    for (int half = Lanes / 2; half > 0; half /= 2) {
      for (int l = 0; l < half; ++l) {
        const bool take = value[l + half] < value[l] ||
                          (value[l + half] == value[l] && column[l + half] < column[l]);
        value[l] = take ? value[l + half] : value[l];
        column[l] = take ? column[l + half] : column[l];
      }
    }
    index[r] = column[0];
  }
}

template <int Lanes>
[[gnu::always_inline]] inline float distance(const float* a, const float* b, int64_t depth) {
  using V = Vector<Lanes>;
  constexpr int chains = 4;  // independent sums hide the latency of the additions
  V sum[chains] = {};
  int64_t d = 0;
  for (; d + chains * Lanes <= depth; d += chains * Lanes) {
    for (int v = 0; v < chains; ++v) {
      const V difference = *reinterpret_cast<const V*>(a + d + v * Lanes) -
                           *reinterpret_cast<const V*>(b + d + v * Lanes);
      sum[v] += difference * difference;
    }
  }
  const V total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  float result = 0;
  for (int l = 0; l < Lanes; ++l) result += total[l];
  for (; d < depth; ++d) result += (a[d] - b[d]) * (a[d] - b[d]);
  return result;
}

// Tiles for 32 registers (6×4 sums, 4 columns, 1 broadcast) and for 16 (6×2 sums, 2 columns, 1
// broadcast); narrower panels take more rows.
template <int Lanes>
[[gnu::always_inline]] inline void product_32(const PanelProduct& p) {
  switch (p.columns / Lanes) {
    case 1:
      return all_rows<Lanes, 16, 1>(p);
    case 2:
      return all_rows<Lanes, 12, 2>(p);
    case 3:
      return all_rows<Lanes, 8, 3>(p);
    default:
      return all_rows<Lanes, 6, 4>(p);
  }
}
template <int Lanes>
[[gnu::always_inline]] inline void product_16(const PanelProduct& p) {
  if (p.columns / Lanes == 1) return all_rows<Lanes, 12, 1>(p);
  all_rows<Lanes, 6, 2>(p);
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
[[gnu::target("arch=x86-64-v4")]] void product_v4(const PanelProduct& p) { product_32<16>(p); }
[[gnu::target("arch=x86-64-v3")]] void product_v3(const PanelProduct& p) { product_16<8>(p); }
[[gnu::target("arch=x86-64-v4")]] void nearest_v4(const float* scores, int64_t rows,
                                                  int64_t columns, int32_t* index) {
  nearest_columns<16>(scores, rows, columns, index);
}
[[gnu::target("arch=x86-64-v3")]] void nearest_v3(const float* scores, int64_t rows,
                                                  int64_t columns, int32_t* index) {
  nearest_columns<8>(scores, rows, columns, index);
}
[[gnu::target("arch=x86-64-v4")]] float distance_v4(const float* a, const float* b, int64_t depth) {
  return distance<16>(a, b, depth);
}
[[gnu::target("arch=x86-64-v3")]] float distance_v3(const float* a, const float* b, int64_t depth) {
  return distance<8>(a, b, depth);
}
#define HARDMOE_HAS_X86_LEVELS 1
#endif

void product_any(const PanelProduct& p) { product_16<4>(p); }
void nearest_any(const float* scores, int64_t rows, int64_t columns, int32_t* index) {
  nearest_columns<4>(scores, rows, columns, index);
}
float distance_any(const float* a, const float* b, int64_t depth) {
  return distance<4>(a, b, depth);
}

std::vector<Kernels> find_kernels() {
  std::vector<Kernels> found;
#ifdef HARDMOE_HAS_X86_LEVELS
  if (__builtin_cpu_supports("x86-64-v4")) {
    found.push_back({"x86-64-v4", 16, 64, product_v4, nearest_v4, distance_v4});
  }
  if (__builtin_cpu_supports("x86-64-v3")) {
    found.push_back({"x86-64-v3", 8, 16, product_v3, nearest_v3, distance_v3});
  }
#endif
  found.push_back({"portable", 4, 8, product_any, nearest_any, distance_any});
  return found;
}

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

std::span<const Kernels> supported_kernels() {
  static const std::vector<Kernels> kernels = find_kernels();
  return kernels;
}

const Kernels& kernels_for(int64_t columns) {
  const auto kernels = supported_kernels();
  size_t level = 0;
  while (level + 1 < kernels.size() && columns <= kernels[level + 1].lanes &&
         kernels[level + 1].lanes >= 8) {
    ++level;
  }
  return kernels[level];
}

PackedMatrix::PackedMatrix(int64_t depth, int64_t columns, const Kernels& kernels)
    : kernels_(&kernels),
      depth_(depth),
      columns_(columns),
      padded_(round_up(columns, kernels.lanes)),
      data_(DType::f32, {depth * padded_}) {}

void PackedMatrix::set_column(int64_t column, const float* values, float scale) {
  const int64_t first = column / kernels_->panel_lanes * kernels_->panel_lanes;
  const int64_t width = std::min(kernels_->panel_lanes, padded_ - first);
  float* target = data_.as<float>().data() + first * depth_ + (column - first);
  for (int64_t d = 0; d < depth_; ++d) target[d * width] = scale * values[d];
}

void PackedMatrix::multiply(const float* a, int64_t row_stride, int64_t depth_stride, int64_t rows,
                            const float* bias, float* out) const {
  const float* data = data_.as<float>().data();
  for (int64_t first = 0; first < padded_; first += kernels_->panel_lanes) {
    kernels_->product({.a = a,
                       .row_stride = row_stride,
                       .depth_stride = depth_stride,
                       .rows = rows,
                       .depth = depth_,
                       .panel = data + first * depth_,
                       .columns = std::min(kernels_->panel_lanes, padded_ - first),
                       .bias = bias + first,
                       .out = out + first,
                       .out_stride = padded_});
  }
}

HARDMOE_VECTOR_KERNEL
void add_to_sums(const float* values, int64_t count, double* sums) {
  for (int64_t d = 0; d < count; ++d) sums[d] += static_cast<double>(values[d]);
}

}  // namespace hardmoe
