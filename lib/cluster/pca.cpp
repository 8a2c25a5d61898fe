#include "cluster/pca.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hardmoe {
namespace {

std::vector<float> mean_of(const Points& points, ClusterBackend& backend) {
  std::vector<double> sums(static_cast<size_t>(points.view().cols));
  backend.add_column_sums(points, sums);
  std::vector<float> mean;
  const auto count = static_cast<double>(points.view().rows);
  for (const double sum : sums) mean.push_back(static_cast<float>(sum / count));
  return mean;
}

Eigen::MatrixXd covariance(const Points& points, std::span<const float> mean,
                           ClusterBackend& backend) {
  const int64_t depth = points.view().cols;
  std::vector<double> scatter(static_cast<size_t>(depth * depth));
  backend.add_scatter(points, mean, scatter);
  Eigen::MatrixXd result = Eigen::MatrixXd::Zero(depth, depth);
  for (int64_t i = 0; i < depth; ++i) {
    for (int64_t j = i; j < depth; ++j) {
      result(j, i) = scatter[static_cast<size_t>(i * depth + j)];  // the lower half is read
    }
  }
  return result / static_cast<double>(points.view().rows - 1);
}

}  // namespace

Pca fit_pca(MatrixView rows, int64_t components, bool whiten, ClusterBackend& backend) {
  if (components < 1 || components > rows.cols) {
    fail_usage("PCA: expected 1 to {} components for rows of {} values, found {}", rows.cols,
               rows.cols, components);
  }
  if (rows.rows < 2) fail_usage("PCA: needs at least 2 rows, found {}", rows.rows);
  Pca pca;
  pca.whitened = whiten;
  const auto points = backend.load(rows);
  const std::vector<float> mean = mean_of(*points, backend);
  pca.mean = Tensor::from(mean, {rows.cols});

  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance(*points, mean, backend));
  if (solver.info() != Eigen::Success) fail("PCA: the eigenvalues did not converge");
  const auto& values = solver.eigenvalues();  // ascending
  pca.total_variance = values.sum();
  const double negligible = 1e-10 * std::max(values.maxCoeff(), 0.0);

  pca.components = Tensor(DType::f32, {components, rows.cols});
  float* target = pca.components.as<float>().data();
  for (int64_t p = 0; p < components; ++p) {
    const int64_t from = rows.cols - 1 - p;
    const auto direction = solver.eigenvectors().col(from);
    const double variance = std::max(values(from), 0.0);
    pca.variance.push_back(variance);
    Eigen::Index largest = 0;
    direction.cwiseAbs().maxCoeff(&largest);
    double scale = direction(largest) < 0 ? -1 : 1;
    if (whiten) scale = variance > negligible ? scale / std::sqrt(variance) : 0;
    for (int64_t d = 0; d < rows.cols; ++d) {
      target[p * rows.cols + d] = static_cast<float>(scale * direction(d));
    }
  }
  return pca;
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
