#include "cluster/softmax_classifier.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"
#include "cluster/minimise.h"

namespace hardmoe {
namespace {

// While it is fitted, a classifier is one vector, (P+1)×K: loops over classes are then vectors, and
// the last row is b.
std::vector<double> packed(const LinearClassifier& classifier) {
  const auto classes = static_cast<size_t>(classifier.classes);
  const auto depth = static_cast<size_t>(classifier.depth);
  std::vector<double> values((depth + 1) * classes);
  for (size_t k = 0; k < classes; ++k) {
    for (size_t d = 0; d < depth; ++d) {
      values[d * classes + k] = classifier.weights[k * depth + d];
    }
    values[depth * classes + k] = classifier.biases[k];
  }
  return values;
}

LinearClassifier unpacked(std::span<const double> values, int64_t classes, int64_t depth) {
  LinearClassifier classifier = LinearClassifier::zeros(classes, depth);
  const auto k_count = static_cast<size_t>(classes), d_count = static_cast<size_t>(depth);
  for (size_t k = 0; k < k_count; ++k) {
    for (size_t d = 0; d < d_count; ++d) {
      classifier.weights[k * d_count + d] = values[d * k_count + k];
    }
    classifier.biases[k] = values[d_count * k_count + k];
  }
  return classifier;
}

/// The sums of one segment of points.
struct Segment {
  double loss = 0;
  std::vector<double> gradient;
};

/// Adds −Σ_k q_k log softmax_k of one point, and its gradient unless that is empty.
void add_point(std::span<const double> classifier, const float* point, size_t depth,
               std::span<const float> target, std::vector<double>& scores, Segment& sums) {
  const size_t classes = target.size();
  const double* bias = classifier.data() + depth * classes;
  std::copy_n(bias, classes, scores.data());
  for (size_t d = 0; d < depth; ++d) {
    const double value = point[d];
    const double* row = classifier.data() + d * classes;
    for (size_t k = 0; k < classes; ++k) scores[k] += value * row[k];
  }
  const double top = *std::max_element(scores.begin(), scores.end());
  double total = 0, expected = 0;
  for (size_t k = 0; k < classes; ++k) {
    expected += double{target[k]} * (scores[k] - top);
    scores[k] = std::exp(scores[k] - top);
    total += scores[k];
  }
  sums.loss += std::log(total) - expected;
  if (sums.gradient.empty()) return;
  for (size_t k = 0; k < classes; ++k) scores[k] = scores[k] / total - double{target[k]};
  for (size_t d = 0; d <= depth; ++d) {
    const double value = d < depth ? double{point[d]} : 1;
    double* row = sums.gradient.data() + d * classes;
    for (size_t k = 0; k < classes; ++k) row[k] += value * scores[k];
  }
}

/// Returns the mean loss over the points, and writes its gradient unless `gradient` is empty. Sums
/// are over segments that no number of threads changes, added in order.
double mean_loss(std::span<const double> classifier, MatrixView points,
                 std::span<const float> targets, std::span<double> gradient) {
  const auto depth = static_cast<size_t>(points.cols);
  const size_t classes = classifier.size() / (depth + 1);
  const int64_t count =
      segment_count(points.rows, static_cast<int64_t>(classifier.size() * sizeof(double)));
  std::vector<Segment> segments(static_cast<size_t>(count));
  parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> scores(classes);
    for (int64_t s = begin; s < end; ++s) {
      Segment& sums = segments[static_cast<size_t>(s)];
      sums.gradient.resize(gradient.size());
      for (int64_t i = points.rows * s / count; i < points.rows * (s + 1) / count; ++i) {
        add_point(classifier, points.row(i), depth,
                  targets.subspan(static_cast<size_t>(i) * classes, classes), scores, sums);
      }
    }
  });
  const auto rows = static_cast<double>(points.rows);
  std::fill(gradient.begin(), gradient.end(), 0.0);
  double loss = 0;
  for (const Segment& sums : segments) {
    loss += sums.loss / rows;
    for (size_t j = 0; j < gradient.size(); ++j) gradient[j] += sums.gradient[j] / rows;
  }
  return loss;
}

double mean_square(MatrixView points) {
  double sum = 0;
  for (int64_t i = 0; i < points.rows; ++i) {
    for (int64_t d = 0; d < points.cols; ++d) {
      sum += double{points.row(i)[d]} * double{points.row(i)[d]};
    }
  }
  return sum / static_cast<double>(points.rows * points.cols);
}

}  // namespace

LinearClassifier LinearClassifier::zeros(int64_t classes, int64_t depth) {
  return {classes, depth, std::vector<double>(static_cast<size_t>(classes * depth)),
          std::vector<double>(static_cast<size_t>(classes))};
}

double cross_entropy(const LinearClassifier& classifier, MatrixView points,
                     std::span<const float> targets) {
  return mean_loss(packed(classifier), points, targets, {});
}

LinearClassifier fit_classifier(MatrixView points, std::span<const float> targets, double penalty,
                                const LinearClassifier& near, const LinearClassifier& start) {
  const std::vector<double> centre = packed(near);
  const size_t weights = centre.size() - static_cast<size_t>(near.classes);  // b is free
  const double strength = penalty * mean_square(points);
  const auto objective = [&](std::span<const double> x, std::span<double> gradient) {
    double loss = mean_loss(x, points, targets, gradient);
    for (size_t j = 0; j < weights; ++j) {
      const double off = x[j] - centre[j];
      loss += strength / 2 * off * off;
      gradient[j] += strength * off;
    }
    return loss;
  };
  return unpacked(minimise(objective, packed(start)), near.classes, near.depth);
}

}  // namespace hardmoe
