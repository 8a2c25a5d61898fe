// The scores of many images, appended in order and read again from the start: in memory up to a
// limit, beyond it in a temporary file. For computations that need all images' scores at once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/files.h"

namespace hardmoe {

/// A growing matrix of scores.
class ScoreRows {
 public:
  /// `width`: values in a row. `memory_limit`: bytes kept before rows go to a file in $TMPDIR (or
  /// /tmp), which has no name and vanishes with the process.
  explicit ScoreRows(int64_t width, int64_t memory_limit = int64_t{256} << 20);

  /// Appends a row. Throws Error naming the folder if a temporary file cannot be made or written.
  void add(std::span<const float> row);
  int64_t size() const { return rows_; }
  int64_t width() const { return width_; }

  /// Copies row `row` to `out`, width() values.
  void read(int64_t row, std::span<float> out) const;

  /// Passes all rows in order to `visit`, many at a time: the first row's number, the number of
  /// rows, and their values.
  void for_each(
      const std::function<void(int64_t first, int64_t rows, std::span<const float>)>& visit) const;

 private:
  void spill();

  int64_t width_;
  size_t block_values_;  ///< values kept in memory, whole rows
  int64_t rows_ = 0;
  int64_t spilled_rows_ = 0;
  std::vector<float> block_;
  TemporaryFile spilled_;
};

}  // namespace hardmoe
