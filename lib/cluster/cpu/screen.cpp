#include "cluster/cpu/screen.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/threads.h"
#include "cluster/cpu/prefetch.h"
#include "cluster/kernels.h"

namespace hardmoe::cpu {
namespace {

constexpr float integer_norm = 46000;  // of a vector; with rounding still below √2³¹ = 46,341
constexpr float integer_most = 32767;
constexpr float unit = 0x1p-24F;  // float32's relative rounding
constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<float> mean_of(MatrixView rows) {
  std::vector<double> sums(static_cast<size_t>(rows.cols));
  for (int64_t r = 0; r < rows.rows; ++r) add_to_sums(rows.row(r), rows.cols, sums.data());
  std::vector<float> mean;
  for (const double sum : sums) {
    mean.push_back(static_cast<float>(sum / static_cast<double>(rows.rows)));
  }
  return mean;
}

}  // namespace

Screen::Screen(MatrixView centroids, std::span<const float> prices, const IntegerLevel& level,
               const Options& options)
    : centroids_(centroids),
      prices_(prices),
      slack_(options.slack),
      level_(&level),
      groups_(options.groups != nullptr ? *options.groups
                                        : near_groups(centroids, level.columns, 1)) {
  const int64_t cols = centroids.cols, count = centroids.rows;
  std::vector<int64_t> column_of(static_cast<size_t>(count));
  group_of_.resize(static_cast<size_t>(count));
  for (size_t g = 0; g < static_cast<size_t>(groups_.count()); ++g) {
    const auto end = std::min<int64_t>(groups_.first_column[g + 1], count);
    for (int64_t i = groups_.first_column[g]; i < end; ++i) {
      const uint16_t c = groups_.order[static_cast<size_t>(i)];
      column_of[c] = i;
      group_of_[c] = static_cast<uint32_t>(g);
    }
  }
  depth_ = cols + cols % 2;
  padded_ = (count + level.columns - 1) / level.columns * level.columns;
  middle_.assign(options.middle.begin(), options.middle.end());
  if (middle_.empty()) middle_ = mean_of(centroids);
  double middle_square = 0;
  for (const float value : middle_) middle_square += double{value} * double{value};
  middle_norm_ = static_cast<float>(std::sqrt(middle_square));

  bias_.assign(static_cast<size_t>(padded_), infinity);
  if (!slack_.empty()) high_bias_ = bias_;
  double largest = 0, most_square = 0, most_table_square = 0;
  for (int64_t c = 0; c < count; ++c) {
    double square = 0, table_square = 0;
    for (int64_t d = 0; d < cols; ++d) {
      const double value = double{centroids.row(c)[d]};
      const double off = value - double{middle_[static_cast<size_t>(d)]};
      square += off * off;
      table_square += value * value;
      largest = std::max(largest, std::abs(off));
    }
    const auto i = static_cast<size_t>(c);
    const auto biased = static_cast<float>(square + double{price(i)});
    const auto column = static_cast<size_t>(column_of[i]);
    bias_[column] = biased;
    if (!slack_.empty()) {
      high_bias_[column] = biased + slack_[i];
      most_bias_ = std::max(most_bias_, std::abs(high_bias_[column]));
    }
    // The same bits as CentroidTable has, with or without prices.
    table_bias_.push_back(
        static_cast<float>(prices.empty() ? table_square : table_square + double{prices[i]}));
    most_square = std::max(most_square, square);
    most_table_square = std::max(most_table_square, table_square);
    most_bias_ = std::max(most_bias_, std::abs(biased));
    most_table_bias_ = std::max(most_table_bias_, std::abs(table_bias_[i]));
  }
  most_norm_ = static_cast<float>(std::sqrt(most_square));
  most_table_norm_ = static_cast<float>(std::sqrt(most_table_square));
  scale_ = static_cast<float>(
      std::max(std::sqrt(most_square) / double{integer_norm}, largest / double{integer_most}));
  if (!(scale_ > 0)) scale_ = 1;  // one centroid, or all equal

  panels_.assign(static_cast<size_t>(padded_ * depth_), 0);
  std::vector<double> errors(static_cast<size_t>(count));
  const double inverse = 1 / double{scale_};
  constexpr int64_t grain = 64;
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const float* row = centroids.row(c);
      const int64_t at = column_of[static_cast<size_t>(c)];
      int16_t* column =
          panels_.data() + (at - at % level.columns) * depth_ + at % level.columns * 2;
      double error = 0;
      for (int64_t d = 0; d < cols; ++d) {
        const double off = double{row[d]} - double{middle_[static_cast<size_t>(d)]};
        const double whole = std::nearbyint(off * inverse);
        column[d / 2 * level.columns * 2 + d % 2] = static_cast<int16_t>(whole);
        const double rest = off - whole * double{scale_};
        error += rest * rest;
      }
      errors[static_cast<size_t>(c)] = error;
    }
  });
  most_error_ =
      static_cast<float>(std::sqrt(*std::max_element(errors.begin(), errors.end())) * (1 + 1e-6));
}

int64_t Screen::block_rows() const {
  constexpr int64_t products = 65536;
  return std::clamp<int64_t>(products / padded_ / integer_tile_rows, 4, 32) * integer_tile_rows;
}

float Screen::table_error(float norm) const {
  // A sum of D + 1 terms with one rounding a step; no term exceeds |bias| + 2‖x‖‖c‖.
  return static_cast<float>(depth_ + 4) * unit *
         (most_table_bias_ + 2 * (norm + middle_norm_) * most_table_norm_);
}

float Screen::distance_error(float distance) const {
  return (static_cast<float>(depth_) / 8 + 16) * unit * distance;
}

float Screen::doubt(float distance) const {
  const float norm = std::sqrt(distance) * (1 + distance_error(1)) + most_norm_;
  const float sums = distance + most_table_bias_ + most_table_norm_ * most_table_norm_;
  return 1.01F * (distance_error(distance) + 2 * table_error(norm) + 4 * unit * sums);
}

float Screen::norm_of(float square) const {
  return std::sqrt(square) * (1 + static_cast<float>(depth_ + 4) * unit);
}

Measure Screen::measure(const float* point) const {
  float largest = 0;
  Measure found{};
  level_->measure(point, middle_.data(), centroids_.cols, &largest, &found.square);
  found.scale = std::max({norm_of(found.square) / integer_norm, largest / integer_most, 1e-30F});
  if (!std::isfinite(found.scale)) found.scale = std::numeric_limits<float>::max();
  return found;
}

struct Screen::Rows {
  std::vector<int16_t> integers;  ///< ỹ
  std::vector<int32_t> products;  ///< by column, in the groups that were queried
  std::vector<Measure> measures;
  std::vector<const int16_t*> from;  ///< the rows multiplied with one group
  std::vector<int32_t*> to;
};

void Screen::quantize(MatrixView points, std::span<const Query> queries, Rows& rows) const {
  const size_t count = queries.size() + 1;  // one more row, to fill the last tile
  rows.integers.resize(count * static_cast<size_t>(depth_));
  rows.products.resize(count * static_cast<size_t>(padded_));
  rows.measures.clear();
  for (size_t i = 0; i < queries.size(); ++i) {
    const float* point = points.row(queries[i].row);
    const Measure known = queries[i].measure;
    const Measure now = known.scale > 0 ? known : measure(point);
    int16_t* row = rows.integers.data() + static_cast<int64_t>(i) * depth_;
    level_->quantize(point, middle_.data(), 1 / now.scale, points.cols, row);
    if (depth_ != points.cols) row[points.cols] = 0;
    rows.measures.push_back(now);
  }
}

/// Multiplies each group with the rows whose queries name it.
void Screen::multiply(std::span<const Query> queries, MatrixView next, Rows& rows) const {
  constexpr int64_t step = 4 * integer_tile_rows;
  std::vector<int64_t> wanted(static_cast<size_t>(groups()));
  for (const Query& query : queries) {
    for (uint32_t left = query.groups; left != 0; left &= left - 1) {
      ++wanted[static_cast<size_t>(std::countr_zero(left))];
    }
  }
  int64_t calls = 0, call = 0;
  for (size_t g = 0; g < wanted.size(); ++g) {
    calls += (wanted[g] + step - 1) / step * (width(g) / level_->columns);
  }
  calls = std::max<int64_t>(calls, 1);
  const int64_t next_values = next.rows * next.cols;
  for (size_t g = 0; g < wanted.size(); ++g) {
    rows.from.clear();
    rows.to.clear();
    const auto add = [&](size_t i) {
      rows.from.push_back(rows.integers.data() + static_cast<int64_t>(i) * depth_);
      rows.to.push_back(rows.products.data() + static_cast<int64_t>(i) * padded_);
    };
    for (size_t i = 0; i < queries.size(); ++i) {
      if ((queries[i].groups >> g & 1U) != 0) add(i);
    }
    while (rows.from.size() % integer_tile_rows != 0) add(queries.size());
    const auto count = static_cast<int64_t>(rows.from.size());
    for (int64_t column = 0; column < width(g); column += level_->columns) {
      const int64_t first = groups_.first_column[g] + column;
      for (int64_t row = 0; row < count; row += step, ++call) {
        // A few cache lines at a time, so that the products hide the latency.
        const int64_t from = next_values * call / calls;
        prefetch(next.data + from, next_values * (call + 1) / calls - from);
        level_->product(rows.from.data() + row, std::min(step, count - row), depth_,
                        panels_.data() + first * depth_, rows.to.data() + row, first);
      }
    }
  }
}

/// The two least scores over several groups.
struct Screen::Least {
  float best = infinity, second = infinity;
  float rest = infinity;  ///< the least score of the best one's group without it
  int32_t centroid = -1;  ///< the best centroid
  uint32_t group = 0;     ///< its group

  void add(float score, float next, int32_t number, uint32_t from_group) {
    if (score < best) {
      second = std::min(best, next);
      best = score;
      rest = next;
      centroid = number;
      group = from_group;
    } else {
      second = std::min(second, score);
    }
  }
};

/// One point's approximate scores bias − factor·product: ‖z − c‖² + p_c less ‖y‖².
struct Screen::Scores {
  const Query& query;
  const int32_t* products;  ///< by column
  float factor;
  float square, square_error;  ///< ‖y‖² and its rounding error
  float error;                 ///< bound on the error of a score
  float doubt = 0;             ///< two scores that differ by less cannot be told apart
  float own = infinity;        ///< score of Query::own, where its group is not queried
};

Screen::Scores Screen::scores(const Query& query, const Measure& measure,
                              const int32_t* products) const {
  const auto [square, scale] = measure;
  const float rounding = 0.5F * std::sqrt(static_cast<float>(depth_)) * 1.01F;
  const float norm = norm_of(square);
  const float vector_error = scale * rounding + 8 * unit * norm;  // ‖e‖
  Scores found{.query = query,
               .products = products,
               .factor = 2 * scale * scale_,
               .square = square,
               .square_error = static_cast<float>(depth_ + 8) * unit * square,
               .error = 2 * ((norm + vector_error) * most_error_ + vector_error * most_norm_) +
                        16 * unit * (most_bias_ + 2 * norm * most_norm_)};
  if (query.own >= 0 && (query.groups >> group_of_[static_cast<size_t>(query.own)] & 1U) == 0) {
    const float priced = query.own_distance + price(static_cast<size_t>(query.own));
    found.own = priced - square;
    found.error +=
        distance_error(query.own_distance) + found.square_error + 2 * unit * std::abs(priced);
  }
  found.doubt = 2.01F * (found.error + table_error(norm));
  return found;
}

/// Appends the queried centroids with scores up to `limit`, ascending.
void Screen::add_candidates(const Scores& scores, float limit,
                            std::vector<uint16_t>& candidates) const {
  if (!std::isfinite(limit)) {  // beyond float32: no centroid can be ruled out
    for (int64_t c = 0; c < centroids_.rows; ++c) candidates.push_back(static_cast<uint16_t>(c));
    return;
  }
  thread_local std::vector<uint16_t> near;
  near.resize(static_cast<size_t>(padded_));
  const auto begin = static_cast<int64_t>(candidates.size());
  if (scores.own <= limit) candidates.push_back(static_cast<uint16_t>(scores.query.own));
  for (uint32_t left = scores.query.groups; left != 0; left &= left - 1) {
    const auto g = static_cast<size_t>(std::countr_zero(left));
    const int64_t first = groups_.first_column[g];
    const int64_t count = level_->within(scores.products + first, bias_.data() + first,
                                         scores.factor, width(g), limit, near.data());
    for (int64_t n = 0; n < count; ++n) {
      candidates.push_back(
          groups_.order[static_cast<size_t>(first + near[static_cast<size_t>(n)])]);
    }
  }
  std::sort(candidates.begin() + begin, candidates.end());
}

void Screen::add_nearest(const Scores& scores, Candidates& found, float* others) const {
  const Query& query = scores.query;
  Least least;
  for (uint32_t left = query.groups; left != 0; left &= left - 1) {
    const auto g = static_cast<uint32_t>(std::countr_zero(left));
    const int64_t first = groups_.first_column[g];
    const BestTwo two =
        level_->best_two(scores.products + first, bias_.data() + first, scores.factor, width(g));
    others[g] = two.best;
    const int64_t column = std::min(first + two.index, centroids_.rows - 1);
    least.add(two.best, two.second, groups_.order[static_cast<size_t>(column)], g);
  }
  if (scores.own < infinity) {
    const uint32_t g = group_of_[static_cast<size_t>(query.own)];
    others[g] = scores.own;
    least.add(scores.own, infinity, query.own, g);
  }
  const float limit = least.best + scores.doubt;
  if (least.second > limit) {
    found.centroid.push_back(static_cast<uint16_t>(least.centroid));
    others[least.group] = least.rest;
  } else {
    add_candidates(scores, limit, found.centroid);
  }
  const float shift = scores.square - scores.error - scores.square_error;
  for (int64_t g = 0; g < groups(); ++g) {
    if (others[g] == infinity) continue;
    others[g] += shift - 4 * unit * (std::abs(others[g]) + scores.square);
  }
}

void Screen::add_within_slack(const Scores& scores, Candidates& found) const {
  const Query& query = scores.query;
  float least = infinity;
  if (scores.own < infinity) least = scores.own + slack_[static_cast<size_t>(query.own)];
  for (uint32_t left = query.groups; left != 0; left &= left - 1) {
    const auto g = static_cast<size_t>(std::countr_zero(left));
    const int64_t first = groups_.first_column[g];
    const BestTwo two = level_->best_two(scores.products + first, high_bias_.data() + first,
                                         scores.factor, width(g));
    least = std::min(least, two.best);
  }
  add_candidates(scores, least + scores.doubt, found.centroid);
}

void Screen::find(MatrixView points, std::span<const Query> queries, Candidates& found,
                  MatrixView next) const {
  thread_local Rows rows;  // reused by later calls
  quantize(points, queries, rows);
  multiply(queries, next, rows);
  found.last.clear();
  found.centroid.clear();
  found.others.assign(queries.size() * static_cast<size_t>(groups()), infinity);
  for (size_t i = 0; i < queries.size(); ++i) {
    const Scores known = scores(queries[i], rows.measures[i],
                                rows.products.data() + static_cast<int64_t>(i) * padded_);
    if (slack_.empty()) {
      add_nearest(known, found, found.others.data() + static_cast<int64_t>(i) * groups());
    } else {
      add_within_slack(known, found);
    }
    found.last.push_back(static_cast<int32_t>(found.centroid.size()));
  }
}

void Screen::find(MatrixView points, Candidates& found, MatrixView next) const {
  thread_local std::vector<Query> queries;
  queries.clear();
  for (int64_t row = 0; row < points.rows; ++row) {
    queries.push_back({.row = static_cast<int32_t>(row), .groups = all_groups()});
  }
  find(points, queries, found, next);
}

uint16_t Screen::choose(const float* point, std::span<const uint16_t> candidates) const {
  const int64_t cols = centroids_.cols;
  const auto squared_distance = supported_kernels()[0].squared_distance;
  // Compare distances first, which have few roundings; settle those still near by the table's
  // scores.
  thread_local std::vector<float> scores;
  scores.clear();
  float best = infinity, most_distance = 0;
  for (const uint16_t c : candidates) {
    const float distance = squared_distance(point, centroids_.row(c), cols);
    scores.push_back(distance + price(c));
    best = std::min(best, scores.back());
    most_distance = std::max(most_distance, distance);
  }
  const float norm = norm_of(measure(point).square);
  const float error = distance_error(most_distance + std::abs(best));
  const float limit = best + 2.01F * (error + table_error(norm));
  size_t near = 0, winner = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (scores[i] > limit) continue;
    ++near;
    winner = i;
  }
  if (near == 1) return candidates[winner];
  float least = infinity;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (scores[i] > limit) continue;
    const uint16_t c = candidates[i];
    const float score = level_->chain(point, centroids_.row(c), cols, table_bias_[c]);
    if (score < least) {
      least = score;
      winner = i;
    }
  }
  return candidates[winner];
}

}  // namespace hardmoe::cpu
