// A linear classifier, fitted as multinomial logistic regression to soft targets: for points z_i
// and shares q_ik of K classes,
//
//   minimise  −1/N Σ_i Σ_k q_ik log softmax_k(W z_i + b)  +  λ/2 · s² ‖W − A‖²
//
// where s² is the points' mean square value, so that λ means the same at any scale, and A a
// classifier to stay near, or 0. Not for more points than memory holds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/matrix_view.h"

namespace hardmoe {

/// The scores W·z + b of K classes for a point z of P values.
struct LinearClassifier {
  int64_t classes = 0, depth = 0;
  std::vector<double> weights;  ///< K×P
  std::vector<double> biases;   ///< K

  /// Returns one that scores everything 0.
  static LinearClassifier zeros(int64_t classes, int64_t depth);
};

/// Returns −1/N Σ_i Σ_k q_ik log softmax_k(W z_i + b). `targets`: N×K, each row's sum 1.
double cross_entropy(const LinearClassifier& classifier, MatrixView points,
                     std::span<const float> targets);

/// Returns the classifier fitted to the points (N×P) and `targets` (N×K), with the penalty λ (0 or
/// more) on its distance from `near`. The search begins at `start`. Does not depend on threads.
LinearClassifier fit_classifier(MatrixView points, std::span<const float> targets, double penalty,
                                const LinearClassifier& near, const LinearClassifier& start);

}  // namespace hardmoe
