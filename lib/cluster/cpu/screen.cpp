#include "cluster/cpu/screen.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/threads.h"
#include "cluster/cpu/prefetch.h"

namespace hardmoe::cpu {
namespace {

constexpr float integer_norm = 46000;  // of a vector; with its rounding below √2³¹ = 46,341
constexpr float integer_most = 32767;
constexpr float unit = 0x1p-24F;  // of float32's rounding

}  // namespace

Screen::Screen(MatrixView centroids, std::span<const float> prices, const IntegerLevel& level)
    : centroids_(centroids), prices_(prices), level_(&level) {
  const int64_t cols = centroids.cols, count = centroids.rows;
  depth_ = cols + cols % 2;
  padded_ = (count + level.columns - 1) / level.columns * level.columns;
  std::vector<double> mean(static_cast<size_t>(cols));
  for (int64_t c = 0; c < count; ++c) {
    for (int64_t d = 0; d < cols; ++d) mean[static_cast<size_t>(d)] += double{centroids.row(c)[d]};
  }
  double middle_square = 0;
  for (const double sum : mean) {
    middle_.push_back(static_cast<float>(sum / static_cast<double>(count)));
    middle_square += double{middle_.back()} * double{middle_.back()};
  }
  middle_norm_ = static_cast<float>(std::sqrt(middle_square));

  bias_.assign(static_cast<size_t>(padded_), std::numeric_limits<float>::infinity());
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
    bias_[i] = static_cast<float>(square + double{price(i)});
    // To the bit as CentroidTable has it, with prices or without.
    table_bias_.push_back(
        static_cast<float>(prices.empty() ? table_square : table_square + double{prices[i]}));
    most_square = std::max(most_square, square);
    most_table_square = std::max(most_table_square, table_square);
    most_bias_ = std::max(most_bias_, std::abs(bias_[i]));
    most_table_bias_ = std::max(most_table_bias_, std::abs(table_bias_[i]));
  }
  most_norm_ = static_cast<float>(std::sqrt(most_square));
  most_table_norm_ = static_cast<float>(std::sqrt(most_table_square));
  scale_ = static_cast<float>(
      std::max(std::sqrt(most_square) / double{integer_norm}, largest / double{integer_most}));
  if (!(scale_ > 0)) scale_ = 1;  // one centroid, or all the same

  panels_.assign(static_cast<size_t>(padded_ * depth_), 0);
  std::vector<double> errors(static_cast<size_t>(count));
  const double inverse = 1 / double{scale_};
  constexpr int64_t grain = 64;
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
      const float* row = centroids.row(c);
      int16_t* column =
          panels_.data() + c / level.columns * level.columns * depth_ + c % level.columns * 2;
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
  constexpr int64_t products = 65536, tile_rows = 6;
  return std::clamp<int64_t>(products / padded_ / tile_rows, 4, 32) * tile_rows;
}

float Screen::table_error(float norm) const {
  // A sum of D + 1 terms, each step rounded, none of which exceeds |bias| + 2‖x‖‖c‖.
  return static_cast<float>(depth_ + 4) * unit *
         (most_table_bias_ + 2 * (norm + middle_norm_) * most_table_norm_);
}

void Screen::find(MatrixView points, float slack, Candidates& found, MatrixView next) const {
  const int64_t rows = points.rows;
  // Kept between calls by the thread.
  thread_local std::vector<int16_t> integers;
  thread_local std::vector<int32_t> products;
  thread_local std::vector<float> scales, norms;
  thread_local std::vector<uint16_t> near;
  integers.resize(static_cast<size_t>(rows * depth_));
  products.resize(static_cast<size_t>(rows * padded_));
  scales.resize(static_cast<size_t>(rows));
  norms.resize(static_cast<size_t>(rows));
  near.resize(static_cast<size_t>(padded_));
  for (int64_t r = 0; r < rows; ++r) {
    float largest = 0, square = 0;
    level_->measure(points.row(r), middle_.data(), points.cols, &largest, &square);
    const float norm = std::sqrt(square) * (1 + static_cast<float>(depth_ + 4) * unit);
    float scale = std::max({norm / integer_norm, largest / integer_most, 1e-30F});
    if (!std::isfinite(scale)) scale = std::numeric_limits<float>::max();
    int16_t* row = integers.data() + r * depth_;
    level_->quantize(points.row(r), middle_.data(), 1 / scale, points.cols, row);
    if (depth_ != points.cols) row[points.cols] = 0;
    scales[static_cast<size_t>(r)] = scale;
    norms[static_cast<size_t>(r)] = norm;
  }
  constexpr int64_t step = 24;  // a multiple of a tile's rows
  const int64_t parts = padded_ / level_->columns * ((rows + step - 1) / step);
  const int64_t next_values = next.rows * next.cols;
  int64_t part = 0;
  for (int64_t first = 0; first < padded_; first += level_->columns) {
    for (int64_t row = 0; row < rows; row += step, ++part) {
      // A few lines at a time, so that the products hide the way to memory.
      const int64_t from = next_values * part / parts, to = next_values * (part + 1) / parts;
      prefetch(next.data + from, to - from);
      level_->product(integers.data() + row * depth_, std::min(step, rows - row), depth_,
                      panels_.data() + first * depth_, products.data() + row * padded_ + first,
                      padded_);
    }
  }
  found.last.clear();
  found.centroid.clear();
  const float rounding = 0.5F * std::sqrt(static_cast<float>(depth_)) * 1.01F;
  for (int64_t r = 0; r < rows; ++r) {
    const float norm = norms[static_cast<size_t>(r)], scale = scales[static_cast<size_t>(r)];
    const float error = scale * rounding + 8 * unit * norm;  // ‖e‖
    const float approximation = 2 * ((norm + error) * most_error_ + error * most_norm_) +
                                16 * unit * (most_bias_ + 2 * norm * most_norm_);
    const float reach = slack + 2.01F * (approximation + table_error(norm));
    const int32_t* product = products.data() + r * padded_;
    const float factor = 2 * scale * scale_;
    const BestTwo two = level_->best_two(product, bias_.data(), factor, padded_);
    if (two.second > two.best + reach) {
      found.centroid.push_back(static_cast<uint16_t>(two.index));
    } else if (!std::isfinite(two.best + reach)) {  // beyond float32's range: nothing is ruled out
      for (int64_t c = 0; c < centroids_.rows; ++c) {
        found.centroid.push_back(static_cast<uint16_t>(c));
      }
    } else {
      const int64_t count =
          level_->within(product, bias_.data(), factor, padded_, two.best + reach, near.data());
      found.centroid.insert(found.centroid.end(), near.begin(), near.begin() + count);
    }
    found.last.push_back(static_cast<int32_t>(found.centroid.size()));
  }
}

uint16_t Screen::choose(const float* point, std::span<const uint16_t> candidates) const {
  const int64_t cols = centroids_.cols;
  const auto squared_distance = supported_kernels()[0].squared_distance;
  // First by distances, which have few roundings; then, of those still near, by the scores.
  thread_local std::vector<float> scores;
  scores.clear();
  float best = std::numeric_limits<float>::infinity(), most_distance = 0;
  for (const uint16_t c : candidates) {
    const float distance = squared_distance(point, centroids_.row(c), cols);
    scores.push_back(distance + price(c));
    best = std::min(best, scores.back());
    most_distance = std::max(most_distance, distance);
  }
  float largest = 0, square = 0;
  level_->measure(point, middle_.data(), cols, &largest, &square);
  const float norm = std::sqrt(square) * (1 + static_cast<float>(depth_ + 4) * unit);
  const float error = static_cast<float>(cols / 8 + 16) * unit * (most_distance + std::abs(best));
  const float limit = best + 2.01F * (error + table_error(norm));
  size_t near = 0, winner = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (scores[i] > limit) continue;
    ++near;
    winner = i;
  }
  if (near == 1) return candidates[winner];
  float least = std::numeric_limits<float>::infinity();
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
