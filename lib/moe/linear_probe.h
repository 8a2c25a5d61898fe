// A linear probe: how well a linear classifier on frozen features tells images' leaf tags apart.
// Multinomial logistic regression with an L2 penalty, by L-BFGS (cluster/minimise.h):
//
//   minimise  1/n Σ_i −log softmax(W x_i + b)[y_i] + λ/2 ‖W‖²
//
// scikit-learn's LogisticRegression(C) has λ = 1/(n·C). Not for training decoders, nor for
// soft targets: see cluster/softmax_classifier.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/matrix_view.h"

namespace hardmoe {

/// How a probe is trained.
struct ProbeOptions {
  double l2 = 1e-3;      ///< λ
  int iterations = 100;  ///< of the minimisation, at most
};

/// A trained classifier.
struct LinearProbe {
  std::vector<int32_t> classes;  ///< C: the leaf tags it knows, ascending
  std::vector<double> weight;    ///< C×D
  std::vector<double> bias;      ///< C

  /// Returns the likeliest class of each row.
  std::vector<int32_t> predict(MatrixView rows) const;
};

/// Trains on n rows and their classes. Throws Error unless there are two classes or more.
LinearProbe train_probe(MatrixView rows, std::span<const int32_t> classes,
                        const ProbeOptions& options = {});

/// Scales features of several splits alike.
struct Standardisation {
  std::vector<float> mean, scale;  ///< D
  /// Of these rows: mean 0, variance 1; a dimension that never changes becomes 0.
  explicit Standardisation(MatrixView rows);
  Tensor apply(MatrixView rows) const;
};

}  // namespace hardmoe
