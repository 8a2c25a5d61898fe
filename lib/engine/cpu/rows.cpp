#include "engine/cpu/rows.h"

#include <algorithm>

#include "base/simd.h"
#include "base/threads.h"
#include "engine/cpu/vector.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t columns_at_once = 64;

template <class T>
HARDMOE_INLINE void add_one(const T* x, const float* row, int64_t n, T* y) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(y + i, load(x + i) + load(row + i));
  for (; i < n; ++i) store_one(y + i, load_one(x + i) + row[i]);
}

HARDMOE_VECTOR_KERNEL void add(const float* x, const float* row, int64_t n, float* y) {
  add_one(x, row, n, y);
}
HARDMOE_VECTOR_KERNEL void add(const BFloat16* x, const float* row, int64_t n, BFloat16* y) {
  add_one(x, row, n, y);
}

/// At most columns_at_once columns.
template <class T>
HARDMOE_INLINE void sum_some(const T* x, int64_t rows, int64_t pitch, int64_t n, float* out) {
  double sums[columns_at_once] = {};
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < n; ++i) sums[i] += double{load_one(x + r * pitch + i)};
  }
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(sums[i]);
}

HARDMOE_VECTOR_KERNEL void sum(const float* x, int64_t rows, int64_t pitch, int64_t n, float* out) {
  sum_some(x, rows, pitch, n, out);
}
HARDMOE_VECTOR_KERNEL void sum(const BFloat16* x, int64_t rows, int64_t pitch, int64_t n,
                               float* out) {
  sum_some(x, rows, pitch, n, out);
}

/// Calls body with the array's data as float* or BFloat16*.
template <class Body>
void with_type(Activations array, const Body& body) {
  if (array.precision == Precision::bf16) {
    body(static_cast<BFloat16*>(array.data));
  } else {
    body(static_cast<float*>(array.data));
  }
}

}  // namespace

void add_row(Activations x, const float* row, int64_t rows, int64_t n, Activations y) {
  with_type(x, [&]<class T>(T* from) {
    parallel_for(rows, std::max<int64_t>((1 << 14) / n, 1), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        add(from + r * n, row, n, static_cast<T*>(y.data) + r * n);
      }
    });
  });
}

void sum_rows(Activations x, int64_t rows, int64_t pitch, int64_t n, float* out) {
  with_type(x, [&]<class T>(T* from) {
    constexpr int64_t grain = 16;  // columns: a cache line
    parallel_for(n, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += columns_at_once) {
        sum(from + i, rows, pitch, std::min(columns_at_once, end - i), out + i);
      }
    });
  });
}

}  // namespace hardmoe::cpu
