// Nearest centroids by products of 16-bit integers; where these leave a doubt, float32 decides. The
// answers are exactly those of CentroidTable, bit for bit.
//
// Let m be a point near the centroids (usually their mean), y = x − m and c' = c − m. The score
// ‖c'‖² + p_c − 2 y·c' differs from ‖x − c‖² + p_c by the same amount for all centroids. y and c'
// are rounded to integers times a scale: ỹ = y − e, c̃ = c' − f. By Cauchy–Schwarz,
// |y·c' − ỹ·c̃| ≤ ‖ỹ‖‖f‖ + ‖e‖‖c'‖. The scales keep ‖ỹ‖ and ‖c̃‖ below √2³¹ integer steps, so that
// sums fit 32 bits. Only centroids whose approximate score is within twice that error (plus twice
// the rounding error of the float32 score to be matched) of the least score can be the nearest.
#pragma once

#include <span>
#include <vector>

#include "cluster/cpu/centroid_groups.h"
#include "cluster/cpu/integer_product.h"
#include "cluster/nearest.h"

namespace hardmoe::cpu {

/// A point's properties that depend on the middle m only, so that later screens reuse them.
struct Measure {
  float square;  ///< ‖z − m‖²
  float scale;   ///< of its integers; 0: not measured yet
};

/// A point to be compared with some groups of centroids.
struct Query {
  int32_t row;          ///< in the matrix of points
  uint32_t groups = 1;  ///< the groups to compare it with, one bit each
  Measure measure = {0, 0};
  int32_t own = -1;        ///< a centroid known to be a candidate, with its distance; -1: none
  float own_distance = 0;  ///< ‖z − c‖² to `own`
};

/// The candidates found for several points.
struct Candidates {
  std::vector<int32_t> last;       ///< for each point, the end of its candidates in `centroid`
  std::vector<uint16_t> centroid;  ///< centroids that may win, ascending for each point
  /// For each point and group: a lower bound of the scores ‖z − c‖² + p_c of the group's compared
  /// centroids (`own` always counts as compared). A point's only candidate is left out. Infinity
  /// where nothing was compared.
  std::vector<float> others;
};

/// Centroids and prices prepared for screening.
class Screen {
 public:
  struct Options {
    const CentroidGroups* groups = nullptr;  ///< groups of centroids; null: all in one
    std::span<const float> middle = {};      ///< m, D values; empty: the centroids' mean
    std::span<const float> slack = {};       ///< K, see find(); empty: zeros
  };
  /// The centroids, prices (K, or empty: zeros) and slack must outlive the screen.
  Screen(MatrixView centroids, std::span<const float> prices, const IntegerLevel& level,
         const Options& options);
  Screen(MatrixView centroids, std::span<const float> prices, const IntegerLevel& level)
      : Screen(centroids, prices, level, Options()) {}
  std::span<const float> middle() const { return middle_; }

  /// Returns how many points to pass to find() at a time.
  int64_t block_rows() const;
  int64_t groups() const { return groups_.count(); }
  uint32_t all_groups() const { return static_cast<uint32_t>((uint64_t{1} << groups()) - 1); }

  /// Measures a point (D values) relative to middle().
  Measure measure(const float* point) const;

  /// For each query, finds every compared centroid whose score is at most the least (score + slack)
  /// of the compared centroids, with scores as CentroidTable computes them; may include a few
  /// others. Candidates::others is set only if the slack is empty. `next`: rows of the next call,
  /// prefetched meanwhile.
  void find(MatrixView points, std::span<const Query> queries, Candidates& found,
            MatrixView next = {}) const;
  /// The same for all points and all centroids.
  void find(MatrixView points, Candidates& found, MatrixView next = {}) const;

  /// Returns the margin by which another score must exceed ‖z − c‖² + p_c so that it also loses in
  /// CentroidTable's rounding. `distance`: ‖z − c‖² as Kernels::squared_distance returns it.
  float doubt(float distance) const;

  /// Returns the candidate that CentroidTable::nearest would choose for the point.
  uint16_t choose(const float* point, std::span<const uint16_t> candidates) const;

  float price(size_t c) const { return prices_.empty() ? 0 : prices_[c]; }

 private:
  /// Points laid out for products.
  struct Rows;
  void quantize(MatrixView points, std::span<const Query> queries, Rows& rows) const;
  void multiply(std::span<const Query> queries, MatrixView next, Rows& rows) const;
  struct Least;
  struct Scores;
  Scores scores(const Query& query, const Measure& measure, const int32_t* products) const;
  void add_nearest(const Scores& scores, Candidates& found, float* others) const;
  void add_within_slack(const Scores& scores, Candidates& found) const;
  void add_candidates(const Scores& scores, float limit, std::vector<uint16_t>& candidates) const;
  /// Returns the number of a group's columns, in whole panels.
  int64_t width(size_t group) const {
    return groups_.first_column[group + 1] - groups_.first_column[group];
  }
  /// Returns ‖y‖ rounded up.
  float norm_of(float square) const;
  /// Returns a bound on the rounding error of ‖z − c‖² as squared_distance computes it.
  float distance_error(float distance) const;
  /// Returns a bound on the rounding error of a table score at distance `norm` from the middle.
  float table_error(float norm) const;

  MatrixView centroids_;
  std::span<const float> prices_, slack_;
  const IntegerLevel* level_;
  int64_t depth_, padded_;  ///< D rounded up to even; columns rounded up to whole panels
  CentroidGroups groups_;
  std::vector<uint32_t> group_of_;  ///< K: each centroid's group
  std::vector<float> middle_;       ///< m
  std::vector<int16_t> panels_;
  std::vector<float> bias_;  ///< ‖c'‖² + p_c by column; infinity where there is no centroid
  std::vector<float> high_bias_;   ///< bias_ plus slack; empty without slack
  std::vector<float> table_bias_;  ///< ‖c‖² + p_c as CentroidTable computes it
  float scale_ = 1;                ///< of the centroids' integers
  // The largest ‖c'‖, ‖f‖ and magnitude of a bias; ‖m‖; the largest ‖c‖ and |‖c‖² + p_c|.
  float most_norm_ = 0, most_error_ = 0, most_bias_ = 0;
  float middle_norm_ = 0, most_table_norm_ = 0, most_table_bias_ = 0;
};

}  // namespace hardmoe::cpu
