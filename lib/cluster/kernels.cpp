#include "cluster/kernels.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/simd.h"

namespace hardmoe {
namespace {

// As in tensor/tile_product.cpp: the loops are written once with GCC's vector types; always_inline
// puts them into functions compiled for one instruction set each, so that a plain distribution
// build uses the machine's registers. target_clones (base/simd.h) will not do here: tile shapes
// must differ with the vector width.
template <int Lanes>
using Vector [[gnu::vector_size(Lanes * 4), gnu::aligned(4), gnu::may_alias]] = float;
template <int Lanes>
using Integers [[gnu::vector_size(Lanes * 4), gnu::aligned(4), gnu::may_alias]] = int32_t;

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

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
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

void nearest_any(const float* scores, int64_t rows, int64_t columns, int32_t* index) {
  nearest_columns<4>(scores, rows, columns, index);
}
float distance_any(const float* a, const float* b, int64_t depth) {
  return distance<4>(a, b, depth);
}

std::vector<Kernels> find_kernels() {
  std::vector<Kernels> found;
  for (const TileLevel& level : tile_levels()) {
    switch (level.lanes) {
#ifdef HARDMOE_HAS_X86_LEVELS
      case 16:
        found.push_back({level, nearest_v4, distance_v4});
        break;
      case 8:
        found.push_back({level, nearest_v3, distance_v3});
        break;
#endif
      default:
        found.push_back({level, nearest_any, distance_any});
    }
  }
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
  while (level + 1 < kernels.size() && columns <= kernels[level + 1].level.lanes &&
         kernels[level + 1].level.lanes >= 8) {
    ++level;
  }
  return kernels[level];
}

PackedMatrix::PackedMatrix(int64_t depth, int64_t columns, const Kernels& kernels)
    : kernels_(&kernels),
      depth_(depth),
      columns_(columns),
      padded_(round_up(columns, kernels.level.lanes)),
      data_(DType::f32, {depth * padded_}) {}

void PackedMatrix::set_column(int64_t column, const float* values, float scale) {
  const int64_t first = column / kernels_->level.columns * kernels_->level.columns;
  const int64_t width = std::min(kernels_->level.columns, padded_ - first);
  float* target = data_.as<float>().data() + first * depth_ + (column - first);
  for (int64_t d = 0; d < depth_; ++d) target[d * width] = scale * values[d];
}

void PackedMatrix::multiply(const float* a, int64_t row_stride, int64_t depth_stride, int64_t rows,
                            const float* bias, float* out) const {
  const float* data = data_.as<float>().data();
  for (int64_t first = 0; first < padded_; first += kernels_->level.columns) {
    const int64_t columns = std::min(kernels_->level.columns, padded_ - first);
    kernels_->level.product({.a = a,
                             .row_stride = row_stride,
                             .depth_stride = depth_stride,
                             .b = data + first * depth_,
                             .b_stride = columns,
                             .start = bias + first,
                             .start_stride = 0,
                             .out = out + first,
                             .out_stride = padded_,
                             .rows = rows,
                             .columns = columns,
                             .depth = depth_});
  }
}

HARDMOE_VECTOR_KERNEL
void add_to_sums(const float* values, int64_t count, double* sums) {
  for (int64_t d = 0; d < count; ++d) sums[d] += static_cast<double>(values[d]);
}

}  // namespace hardmoe
