#include "cluster/row_subset.h"

#include <algorithm>
#include <bit>

namespace hardmoe {

void RowSet::count() {
  for (size_t w = 0; w < words_.size(); ++w) before_[w + 1] = before_[w] + std::popcount(words_[w]);
}

int64_t RowSet::nth_left(int64_t index) const {
  if (index >= left()) return rows_;
  // Find the last word that has at most `index` remaining rows before it.
  size_t low = 0, high = words_.size();
  while (high - low > 1) {
    const size_t middle = (low + high) / 2;
    (static_cast<int64_t>(middle) * 64 - before_[middle] <= index ? low : high) = middle;
  }
  int64_t row = static_cast<int64_t>(low) * 64;
  for (int64_t skip = index - (row - before_[low]); skip > 0 || holds(row); ++row) {
    if (!holds(row)) --skip;
  }
  return row;
}

void RemainingRows::read(int64_t first, int64_t count, float* out) const {
  constexpr int64_t most_values = int64_t{1} << 20;
  const int64_t cols = source_.cols();
  int64_t row = taken_.nth_left(first);
  while (count > 0) {
    if (count == 1) {
      source_.read(row, 1, out);
      return;
    }
    // Rows of the set are read too and dropped, because many small reads take longer.
    const int64_t end = std::min(row + std::max<int64_t>(most_values / cols, 1), taken_.rows());
    const int64_t here = std::min(end - row, taken_.nth_left(first + count - 1) + 1 - row);
    buffer_.resize(static_cast<size_t>(here * cols));
    source_.read(row, here, buffer_.data());
    for (int64_t i = 0; i < here; ++i) {
      if (taken_.holds(row + i)) continue;
      out = std::copy_n(buffer_.data() + i * cols, cols, out);
      ++first;
      --count;
    }
    row += here;
  }
}

void RemainingRows::prefetch(int64_t first, int64_t count) const {
  if (count <= 0) return;
  const int64_t begin = taken_.nth_left(first);
  source_.prefetch(begin, taken_.nth_left(first + count - 1) + 1 - begin);
}

}  // namespace hardmoe
