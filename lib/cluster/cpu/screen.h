// The nearest centroids of points, found by products of 16-bit integers and settled in float32
// where these leave a doubt. Exact: the answers are those of CentroidTable, bit for bit.
//
// With y = x − m and c' = c − m, m the centroids' mean or another point near it, scores differ from
// ‖c'‖² + p_c − 2 y·c' by what is the same for all centroids of a point. y and c' are rounded to
// integers times a scale, ỹ = y − e, c̃ = c' − f. By Cauchy–Schwarz |y·c' − ỹ·c̃| ≤ ‖ỹ‖‖f‖ + ‖e‖‖c'‖;
// the scales are so chosen that ‖ỹ‖ and ‖c̃‖ are below √2³¹ integers, which keeps the sums within 32
// bits. Only centroids whose approximate score is within twice that error (and twice the rounding
// error of the float32 score that is to be matched) of the least can be the nearest.
#pragma once

#include <span>
#include <vector>

#include "cluster/cpu/centroid_groups.h"
#include "cluster/cpu/integer_product.h"
#include "cluster/nearest.h"

namespace hardmoe::cpu {

/// What is the same of a point in all screens of one middle.
struct Measure {
  float square;  ///< ‖z − m‖²
  float scale;   ///< of its integers; 0: not measured yet
};

/// A point to be looked at.
struct Look {
  int32_t row;          ///< of the matrix
  uint32_t groups = 1;  ///< of centroids to compare it with, a bit each
  Measure measure = {0, 0};
  int32_t own = -1;        ///< a centroid whose score is known and that may win too; -1: none
  float own_distance = 0;  ///< ‖z − c‖²
};

/// What was found of a few points.
struct Candidates {
  std::vector<int32_t> last;  ///< the end of each one's centroids that may win, ascending
  std::vector<uint16_t> centroid;
  /// By point and group: not more than the score ‖z − c‖² + p_c of any centroid that was looked at
  /// (as the own always is) but the only candidate, if there is one only; infinite without any.
  std::vector<float> others;
};

class Screen {
 public:
  struct Options {
    const CentroidGroups* groups = nullptr;  ///< that points may be compared with alone; null: one
    std::span<const float> middle = {};      ///< m, any point about which the others lie; empty:
                                             ///< the centroids' mean
    std::span<const float> slack = {};       ///< K, see find(); empty: zeros
  };
  /// The centroids, prices (none: zeros) and slack must outlive this.
  Screen(MatrixView centroids, std::span<const float> prices, const IntegerLevel& level,
         const Options& options);
  Screen(MatrixView centroids, std::span<const float> prices, const IntegerLevel& level)
      : Screen(centroids, prices, level, Options()) {}
  std::span<const float> middle() const { return middle_; }

  /// A good number of points to look at together.
  int64_t block_rows() const;
  int64_t groups() const { return groups_.count(); }
  uint32_t all_groups() const { return static_cast<uint32_t>((uint64_t{1} << groups()) - 1); }

  Measure measure(const float* point) const;

  /// Of the centroids looked at, every one whose priced score is not above the least that one has
  /// with its slack, as CentroidTable makes scores; and perhaps some that are. `next`: the rows of
  /// the next call, fetched meanwhile. With slack nothing is said of the others.
  void find(MatrixView points, std::span<const Look> looks, Candidates& found,
            MatrixView next = {}) const;
  /// Of all points and centroids.
  void find(MatrixView points, Candidates& found, MatrixView next = {}) const;

  /// By how much another score must exceed ‖z − c‖² + p_c to lose to it as CentroidTable makes
  /// scores too; `distance`: ‖z − c‖² as squared_distance has it.
  float doubt(float distance) const;

  /// Which of these CentroidTable::nearest would choose for the point.
  uint16_t choose(const float* point, std::span<const uint16_t> candidates) const;

  float price(size_t c) const { return prices_.empty() ? 0 : prices_[c]; }

 private:
  /// Points as products read them.
  struct Rows;
  void quantize(MatrixView points, std::span<const Look> looks, Rows& rows) const;
  void multiply(std::span<const Look> looks, MatrixView next, Rows& rows) const;
  struct Least;
  struct Scores;
  Scores scores(const Look& look, const Measure& measure, const int32_t* products) const;
  void add_nearest(const Scores& scores, Candidates& found, float* others) const;
  void add_within_slack(const Scores& scores, Candidates& found) const;
  void add_candidates(const Scores& scores, float limit, std::vector<uint16_t>& candidates) const;
  /// Columns of a group, whole panels.
  int64_t width(size_t group) const {
    return groups_.first_column[group + 1] - groups_.first_column[group];
  }
  /// ‖y‖, not less.
  float norm_of(float square) const;
  /// Rounding errors of ‖z − c‖² as squared_distance has it.
  float distance_error(float distance) const;
  /// Rounding errors of scores of a point whose distance from the middle is `norm`.
  float table_error(float norm) const;

  MatrixView centroids_;
  std::span<const float> prices_, slack_;
  const IntegerLevel* level_;
  int64_t depth_, padded_;  ///< even; columns in whole panels
  CentroidGroups groups_;
  std::vector<uint32_t> group_of_;  ///< of each centroid
  std::vector<float> middle_;       ///< m
  std::vector<int16_t> panels_;
  std::vector<float> bias_;  ///< ‖c'‖² + p_c by column; infinite where there is no centroid
  std::vector<float> high_bias_;   ///< with the slack; empty without any
  std::vector<float> table_bias_;  ///< ‖c‖² + p_c as CentroidTable has it
  float scale_ = 1;                ///< of the centroids' integers
  float most_norm_ = 0, most_error_ = 0, most_bias_ = 0;  ///< ‖c'‖, ‖f‖, a bias's magnitude
  float middle_norm_ = 0, most_table_norm_ = 0, most_table_bias_ = 0;  ///< ‖m‖, ‖c‖, |‖c‖² + p_c|
};

}  // namespace hardmoe::cpu
