// Scores of many images, kept in the order they come and read again from the start: in memory as
// far as that goes, then in a temporary file. For what needs all images' scores at once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/files.h"

namespace hardmoe {

class ScoreRows {
 public:
  /// Rows of `width` values. `memory`: bytes kept before they go to a file in $TMPDIR (or /tmp),
  /// which has no name and ends with the process.
  explicit ScoreRows(int64_t width, int64_t memory = int64_t{256} << 20);

  /// Throws Error naming the folder where a temporary file cannot be made or written.
  void add(std::span<const float> row);
  int64_t size() const { return rows_; }
  int64_t width() const { return width_; }

  /// Hands over all rows in order, many at a time: the first one's number and their values.
  void for_each(
      const std::function<void(int64_t first, int64_t rows, std::span<const float>)>& visit) const;

 private:
  void spill();

  int64_t width_;
  size_t block_values_;  ///< kept in memory: whole rows
  int64_t rows_ = 0;
  int64_t spilled_rows_ = 0;
  std::vector<float> block_;
  TemporaryFile spilled_;
};

}  // namespace hardmoe
