#include "moe/linear_probe.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/signals.h"
#include "base/threads.h"
#include "cluster/kernels.h"
#include "cluster/minimise.h"

namespace hardmoe {
namespace {

using Vector = std::vector<double>;
using Values = std::span<const double>;

/// The loss and its gradient, in parameters C×D then C.
class Objective {
 public:
  Objective(MatrixView rows, std::vector<int32_t> labels, int64_t classes, double l2)
      : rows_(rows), labels_(std::move(labels)), classes_(classes), l2_(l2) {
    for (int64_t first = 0; first < rows.rows; first += chunk) {
      const int64_t count = std::min(chunk, rows.rows - first);
      PackedMatrix& packed = columns_.emplace_back(count, rows.cols);
      std::vector<float> column(static_cast<size_t>(count));
      for (int64_t d = 0; d < rows.cols; ++d) {
        for (int64_t i = 0; i < count; ++i) {
          column[static_cast<size_t>(i)] = rows.row(first + i)[d];
        }
        packed.set_column(d, column.data(), 1);
      }
    }
  }

  size_t size() const { return static_cast<size_t>(classes_ * (rows_.cols + 1)); }

  double evaluate(Values at, std::span<double> gradient) const {
    throw_if_interrupted();
    const PackedMatrix weight = packed_weight(at);
    std::vector<float> bias(static_cast<size_t>(weight.padded_columns()));
    const auto biases = static_cast<size_t>(classes_ * rows_.cols);
    for (size_t c = 0; c < static_cast<size_t>(classes_); ++c) {
      bias[c] = static_cast<float>(at[biases + c]);
    }
    std::vector<Part> parts(columns_.size());
    parallel_for(std::ssize(columns_), 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        parts[static_cast<size_t>(p)] = part(static_cast<size_t>(p), weight, bias);
      }
    });
    return sum(parts, at, gradient);
  }

 private:
  static constexpr int64_t chunk = 2048;  // rows whose sums are kept in float

  /// The sums over one chunk of rows.
  struct Part {
    double loss = 0;
    Vector bias;                ///< C
    std::vector<float> weight;  ///< C × padded D
  };

  PackedMatrix packed_weight(Values at) const {
    PackedMatrix weight(rows_.cols, classes_);
    std::vector<float> row(static_cast<size_t>(rows_.cols));
    for (int64_t c = 0; c < classes_; ++c) {
      for (int64_t d = 0; d < rows_.cols; ++d) {
        row[static_cast<size_t>(d)] =
            static_cast<float>(at[static_cast<size_t>(c * rows_.cols + d)]);
      }
      weight.set_column(c, row.data(), 1);
    }
    return weight;
  }

  Part part(size_t number, const PackedMatrix& weight, const std::vector<float>& bias) const {
    const PackedMatrix& columns = columns_[number];
    const int64_t first = static_cast<int64_t>(number) * chunk, count = columns.depth();
    const int64_t width = weight.padded_columns();
    Part result;
    result.bias.resize(static_cast<size_t>(classes_));
    std::vector<float> scores(static_cast<size_t>(count * width));
    weight.multiply(rows_.row(first), rows_.cols, 1, count, bias.data(), scores.data());
    for (int64_t i = 0; i < count; ++i) {
      float* row = scores.data() + i * width;
      result.loss += to_residual(row, labels_[static_cast<size_t>(first + i)]);
      for (int64_t c = 0; c < classes_; ++c) {
        result.bias[static_cast<size_t>(c)] += static_cast<double>(row[c]);
      }
    }
    const std::vector<float> zeros(static_cast<size_t>(columns.padded_columns()));
    result.weight.resize(static_cast<size_t>(classes_ * columns.padded_columns()));
    columns.multiply(scores.data(), 1, width, classes_, zeros.data(), result.weight.data());
    return result;
  }

  /// Turns a row of scores into softmax − label; returns the loss.
  double to_residual(float* row, int32_t label) const {
    const float top = *std::max_element(row, row + classes_);
    const auto own = static_cast<double>(row[label] - top);
    double total = 0;
    for (int64_t c = 0; c < classes_; ++c) {
      row[c] = std::exp(row[c] - top);
      total += static_cast<double>(row[c]);
    }
    const auto scale = static_cast<float>(1 / total);
    for (int64_t c = 0; c < classes_; ++c) row[c] *= scale;
    row[label] -= 1;
    return std::log(total) - own;
  }

  double sum(const std::vector<Part>& parts, Values at, std::span<double> gradient) const {
    const auto n = static_cast<double>(rows_.rows);
    const auto biases = static_cast<size_t>(classes_ * rows_.cols);
    std::ranges::fill(gradient, 0.0);
    double loss = 0;
    for (const Part& part : parts) {
      loss += part.loss / n;
      const size_t stride = part.weight.size() / static_cast<size_t>(classes_);
      for (size_t c = 0; c < static_cast<size_t>(classes_); ++c) {
        for (size_t d = 0; d < static_cast<size_t>(rows_.cols); ++d) {
          gradient[c * static_cast<size_t>(rows_.cols) + d] +=
              static_cast<double>(part.weight[c * stride + d]) / n;
        }
        gradient[biases + c] += part.bias[c] / n;
      }
    }
    for (size_t i = 0; i < biases; ++i) {
      loss += l2_ / 2 * at[i] * at[i];
      gradient[i] += l2_ * at[i];
    }
    return loss;
  }

  MatrixView rows_;
  std::vector<int32_t> labels_;
  int64_t classes_;
  double l2_;
  std::vector<PackedMatrix> columns_;  ///< a chunk each: depth its rows, columns the dimensions
};

}  // namespace

LinearProbe train_probe(MatrixView rows, std::span<const int32_t> classes,
                        const ProbeOptions& options) {
  if (std::ssize(classes) != rows.rows)
    fail("probe: {} rows, {} classes", rows.rows, classes.size());
  LinearProbe probe;
  probe.classes.assign(classes.begin(), classes.end());
  std::ranges::sort(probe.classes);
  probe.classes.erase(std::unique(probe.classes.begin(), probe.classes.end()), probe.classes.end());
  if (probe.classes.size() < 2) fail("probe: expected images of two leaf tags or more");
  std::vector<int32_t> labels;
  for (const int32_t tag : classes) {
    labels.push_back(
        static_cast<int32_t>(std::ranges::lower_bound(probe.classes, tag) - probe.classes.begin()));
  }
  const Objective objective(rows, std::move(labels), std::ssize(probe.classes), options.l2);
  const Vector at = minimise(
      [&](Values point, std::span<double> gradient) { return objective.evaluate(point, gradient); },
      Vector(objective.size()), options.iterations);
  const auto biases = std::ssize(at) - std::ssize(probe.classes);
  probe.weight.assign(at.begin(), at.begin() + biases);
  probe.bias.assign(at.begin() + biases, at.end());
  return probe;
}

std::vector<int32_t> LinearProbe::predict(MatrixView rows) const {
  std::vector<int32_t> predicted(static_cast<size_t>(rows.rows));
  parallel_for(rows.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double best = -INFINITY;
      for (size_t c = 0; c < classes.size(); ++c) {
        double score = bias[c];
        const double* w = weight.data() + c * static_cast<size_t>(rows.cols);
        for (int64_t d = 0; d < rows.cols; ++d) score += w[d] * static_cast<double>(rows.row(i)[d]);
        if (score <= best) continue;
        best = score;
        predicted[static_cast<size_t>(i)] = classes[c];
      }
    }
  });
  return predicted;
}

Standardisation::Standardisation(MatrixView rows)
    : mean(static_cast<size_t>(rows.cols)), scale(static_cast<size_t>(rows.cols)) {
  const auto n = static_cast<double>(rows.rows);
  for (int64_t d = 0; d < rows.cols; ++d) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < rows.rows; ++i) sum += static_cast<double>(rows.row(i)[d]);
    for (int64_t i = 0; i < rows.rows; ++i) {
      squares += std::pow(static_cast<double>(rows.row(i)[d]) - sum / n, 2);
    }
    const auto at = static_cast<size_t>(d);
    mean[at] = static_cast<float>(sum / n);
    scale[at] = squares > 0 ? static_cast<float>(1 / std::sqrt(squares / n)) : 0;
  }
}

Tensor Standardisation::apply(MatrixView rows) const {
  Tensor out = Tensor::uninitialized(DType::f32, {rows.rows, rows.cols});
  float* to = out.as<float>().data();
  for (int64_t i = 0; i < rows.rows; ++i) {
    for (size_t d = 0; d < mean.size(); ++d) {
      *to++ = (rows.row(i)[static_cast<int64_t>(d)] - mean[d]) * scale[d];
    }
  }
  return out;
}

}  // namespace hardmoe
