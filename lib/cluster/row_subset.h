// A matrix without some of its rows, seen as a matrix of its own, without copying it. Takes two
// bits a row.
#pragma once

#include <span>
#include <vector>

#include "cluster/row_source.h"

namespace hardmoe {

/// A set of rows of a matrix. insert() rows first, then count(); only then are left() and
/// nth_left() right.
class RowSet {
 public:
  explicit RowSet(int64_t rows)
      : rows_(rows), words_(static_cast<size_t>((rows + 63) / 64)), before_(words_.size() + 1) {}
  /// Returns the bytes a set over that many rows takes.
  static int64_t bytes(int64_t rows) { return rows / 4 + 16; }

  int64_t rows() const { return rows_; }
  bool holds(int64_t row) const {
    return (words_[static_cast<size_t>(row / 64)] >> (row % 64) & 1U) != 0;
  }
  /// Adds a row. Not safe to call from two threads at once.
  void insert(int64_t row) {
    words_[static_cast<size_t>(row / 64)] |= uint64_t{1} << static_cast<uint64_t>(row % 64);
  }
  /// Counts the rows inserted; call it after the last insert().
  void count();
  /// Returns how many rows are not in the set.
  int64_t left() const { return rows_ - before_.back(); }
  /// Returns row number `index` among those not in the set; rows() for index left().
  int64_t nth_left(int64_t index) const;

 private:
  int64_t rows_;
  std::vector<uint64_t> words_;
  std::vector<int64_t> before_;  ///< rows of the set before each word; last: in all words
};

/// The rows of `source` that are not in `taken`. Both must outlive this.
class RemainingRows final : public RowSource {
 public:
  RemainingRows(const RowSource& source, const RowSet& taken) : source_(source), taken_(taken) {}
  int64_t rows() const override { return taken_.left(); }
  int64_t cols() const override { return source_.cols(); }
  void read(int64_t first, int64_t count, float* out) const override;
  void prefetch(int64_t first, int64_t count) const override;

 private:
  const RowSource& source_;
  const RowSet& taken_;
  mutable std::vector<float> buffer_;
};

}  // namespace hardmoe
