#include "cluster/pca.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/threads.h"

namespace hardmoe {
namespace {

struct Moments {
  std::vector<double> mean;
  Eigen::MatrixXd covariance;  ///< the lower half
};

/// Computes mean and covariance in one pass, with deviations from the first block's mean m:
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

/// Returns the largest variance that rounding alone can give a direction. Each value x has an error
/// below `rounding`·|x|; the largest eigenvalue of such errors grows as rows become few for each
/// dimension (Marchenko & Pastur 1967). Sums of products in float32 add an error that is a share of
/// the columns' variance.
double rounding_variance(const Moments& moments, const Eigen::VectorXd& direction, double count,
                         double rounding) {
  constexpr double sum_of_some = 1e-6, some = 256;  // the relative error of one such sum
  const double sums = sum_of_some / std::sqrt(std::max(1.0, count / some));
  double square = 0, variance = 0;
  for (Eigen::Index d = 0; d < direction.size(); ++d) {
    const double mean = moments.mean[static_cast<size_t>(d)], weight = direction(d) * direction(d);
    square += weight * (mean * mean + moments.covariance(d, d));
    variance += weight * moments.covariance(d, d);
  }
  const double chance = 1 + std::sqrt(static_cast<double>(direction.size()) / count);
  return std::max(rounding * rounding * square * chance * chance, sums * variance);
}

}  // namespace

Pca fit_pca(PointStream& rows, int64_t components, bool whiten, double rounding) {
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
  std::vector<int64_t> kept;  // indices of `values`
  for (int64_t from = inputs - 1; from >= 0 && std::ssize(kept) < components; --from) {
    if (!whiten || values(from) > rounding_variance(moments, solver.eigenvectors().col(from),
                                                    static_cast<double>(rows.rows()), rounding)) {
      kept.push_back(from);
    }
  }
  if (kept.empty()) kept.push_back(inputs - 1);

  pca.components = Tensor(DType::f32, {std::ssize(kept), inputs});
  float* target = pca.components.as<float>().data();
  for (const int64_t from : kept) {
    const auto direction = solver.eigenvectors().col(from);
    const double variance = std::max(values(from), 0.0);
    pca.variance.push_back(variance);
    Eigen::Index largest = 0;
    direction.cwiseAbs().maxCoeff(&largest);
    double scale = direction(largest) < 0 ? -1 : 1;
    if (whiten) scale = variance > 0 ? scale / std::sqrt(variance) : 0;
    for (int64_t d = 0; d < inputs; ++d) {
      *target++ = static_cast<float>(scale * direction(d));
    }
  }
  return pca;
}

Pca fit_pca(MatrixView rows, int64_t components, bool whiten, ClusterBackend& backend,
            double rounding) {
  const MatrixSource source(rows);
  PointStream stream(source, backend);
  return fit_pca(stream, components, whiten, rounding);
}

Pca centred_at(std::span<const float> centre) {
  Pca pca;
  pca.mean = Tensor::from(std::vector<float>(centre.begin(), centre.end()), {std::ssize(centre)});
  return pca;
}

void project_rows(const Pca& pca, MatrixView rows, ClusterBackend& backend, float* out) {
  if (pca.rotates()) {
    backend.project(*backend.load(rows), pca, out);
    return;
  }
  const float* mean = pca.mean.as<float>().data();
  parallel_for(rows.rows, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* row = rows.row(i);
      float* target = out + i * rows.cols;
      for (int64_t d = 0; d < rows.cols; ++d) target[d] = row[d] - mean[d];
    }
  });
}

int64_t pca_bytes(int64_t cols, int64_t block_rows) {
  const int64_t matrix = cols * cols * static_cast<int64_t>(sizeof(double));
  return matrix * (segment_count(block_rows, matrix) + 4);  // partial sums; sum, solver
}

Tensor transform(const Pca& pca, MatrixView rows, ClusterBackend& backend) {
  if (rows.cols != pca.inputs()) {
    fail("PCA: found rows of {} values, expected {}", rows.cols, pca.inputs());
  }
  Tensor result(DType::f32, {rows.rows, pca.outputs()});
  project_rows(pca, rows, backend, result.as<float>().data());
  return result;
}

}  // namespace hardmoe
