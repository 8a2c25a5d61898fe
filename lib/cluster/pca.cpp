#include "cluster/pca.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hardmoe {
namespace {

struct Moments {
  std::vector<double> mean;
  Eigen::MatrixXd covariance;  ///< the lower half
};

/// In one pass: deviations are taken from the first block's mean m, and
/// Σ (x − μ)(x − μ)ᵀ = Σ (x − m)(x − m)ᵀ − N (μ − m)(μ − m)ᵀ.
Moments moments_of(PointStream& rows) {
  ClusterBackend& backend = rows.backend();
  const auto depth = static_cast<size_t>(rows.cols());
  const auto count = static_cast<double>(rows.rows());
  std::vector<double> sums(depth), scatter(depth * depth);
  std::vector<float> middle;
  rows.for_each([&](const Points& block, int64_t) {
    backend.add_column_sums(block, sums);
    if (middle.empty()) {
      const auto seen = static_cast<double>(block.view().rows);
      for (const double sum : sums) middle.push_back(static_cast<float>(sum / seen));
    }
    backend.add_scatter(block, middle, scatter);
    return true;
  });
  Moments moments;
  for (const double sum : sums) moments.mean.push_back(sum / count);
  moments.covariance = Eigen::MatrixXd::Zero(rows.cols(), rows.cols());
  for (size_t i = 0; i < depth; ++i) {
    const double off = moments.mean[i] - double{middle[i]};
    for (size_t j = i; j < depth; ++j) {
      const double sum =
          scatter[i * depth + j] - count * off * (moments.mean[j] - double{middle[j]});
      moments.covariance(static_cast<int64_t>(j), static_cast<int64_t>(i)) = sum / (count - 1);
    }
  }
  return moments;
}

}  // namespace

Pca fit_pca(PointStream& rows, int64_t components, bool whiten) {
  const int64_t inputs = rows.cols();
  if (components < 1 || components > inputs) {
    fail_usage("PCA: expected 1 to {} components for rows of {} values, found {}", inputs, inputs,
               components);
  }
  if (rows.rows() < 2) fail_usage("PCA: needs at least 2 rows, found {}", rows.rows());
  Pca pca;
  pca.whitened = whiten;
  const Moments moments = moments_of(rows);
  pca.mean = Tensor(DType::f32, {inputs});
  for (size_t d = 0; d < moments.mean.size(); ++d) {
    pca.mean.as<float>()[d] = static_cast<float>(moments.mean[d]);
  }

  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(moments.covariance);
  if (solver.info() != Eigen::Success) fail("PCA: the eigenvalues did not converge");
  const auto& values = solver.eigenvalues();  // ascending
  pca.total_variance = values.sum();
  const double negligible = 1e-10 * std::max(values.maxCoeff(), 0.0);

  pca.components = Tensor(DType::f32, {components, inputs});
  float* target = pca.components.as<float>().data();
  for (int64_t p = 0; p < components; ++p) {
    const int64_t from = inputs - 1 - p;
    const auto direction = solver.eigenvectors().col(from);
    const double variance = std::max(values(from), 0.0);
    pca.variance.push_back(variance);
    Eigen::Index largest = 0;
    direction.cwiseAbs().maxCoeff(&largest);
    double scale = direction(largest) < 0 ? -1 : 1;
    if (whiten) scale = variance > negligible ? scale / std::sqrt(variance) : 0;
    for (int64_t d = 0; d < inputs; ++d) {
      target[p * inputs + d] = static_cast<float>(scale * direction(d));
    }
  }
  return pca;
}

Pca fit_pca(MatrixView rows, int64_t components, bool whiten, ClusterBackend& backend) {
  const MatrixSource source(rows);
  PointStream stream(source, backend);
  return fit_pca(stream, components, whiten);
}

int64_t pca_bytes(int64_t cols, int64_t block_rows) {
  const int64_t matrix = cols * cols * static_cast<int64_t>(sizeof(double));
  return matrix * (segment_count(block_rows, matrix) + 4);  // partial sums; sum, solver
}

Tensor transform(const Pca& pca, MatrixView rows, ClusterBackend& backend) {
  if (rows.cols != pca.inputs()) {
    fail("PCA: rows of {} values, fitted on {}", rows.cols, pca.inputs());
  }
  Tensor result(DType::f32, {rows.rows, pca.outputs()});
  backend.project(*backend.load(rows), pca, result.as<float>().data());
  return result;
}

}  // namespace hardmoe
