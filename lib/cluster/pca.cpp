#include "cluster/pca.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/threads.h"
#include "cluster/kernels.h"

namespace hardmoe {
namespace {

constexpr int64_t chunk_rows = 256;  // summed in float32, then added to float64

std::vector<double> mean_of(MatrixView rows) {
  const auto depth = static_cast<size_t>(rows.cols);
  const int64_t segments = segment_count(rows.rows, rows.cols * 8);
  std::vector<std::vector<double>> sums(static_cast<size_t>(segments), std::vector<double>(depth));
  parallel_for(segments, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const int64_t last = rows.rows * (s + 1) / segments;
      for (int64_t i = rows.rows * s / segments; i < last; ++i) {
        add_to_sums(rows.row(i), rows.cols, sums[static_cast<size_t>(s)].data());
      }
    }
  });
  std::vector<double> mean(depth);
  for (const auto& sum : sums) {
    for (size_t d = 0; d < depth; ++d) mean[d] += sum[d];
  }
  for (double& value : mean) value /= static_cast<double>(rows.rows);
  return mean;
}

/// Adds Σ (x − mean)(x − mean)ᵀ over rows [begin, end) to the blocks of `scatter` (D×D) on and
/// above the diagonal.
void add_scatter(MatrixView rows, const float* mean, int64_t begin, int64_t end, double* scatter) {
  const TileLevel& level = tile_levels()[0];
  const int64_t depth = rows.cols, panel = level.columns;
  const int64_t padded = (depth + level.lanes - 1) / level.lanes * level.lanes;
  const auto width = [&](int64_t first) { return std::min(panel, padded - first); };
  // Centred rows in panels of columns, each chunk×width: both sides of the product.
  std::vector<float> centred(static_cast<size_t>(chunk_rows * padded));
  std::vector<float> products(static_cast<size_t>(panel * panel));
  const std::vector<float> zeros(static_cast<size_t>(panel));
  for (int64_t start = begin; start < end; start += chunk_rows) {
    const int64_t count = std::min(chunk_rows, end - start);
    for (int64_t first = 0; first < depth; first += panel) {
      const int64_t used = std::min(panel, depth - first);
      for (int64_t i = 0; i < count; ++i) {
        const float* row = rows.row(start + i) + first;
        float* target = centred.data() + first * count + i * width(first);
        for (int64_t d = 0; d < used; ++d) target[d] = row[d] - mean[first + d];
        std::fill(target + used, target + width(first), 0.0F);
      }
    }
    for (int64_t left = 0; left < depth; left += panel) {
      for (int64_t right = left; right < depth; right += panel) {
        level.product({.a = centred.data() + left * count,
                       .row_stride = 1,
                       .depth_stride = width(left),
                       .b = centred.data() + right * count,
                       .b_stride = width(right),
                       .start = zeros.data(),
                       .start_stride = 0,
                       .out = products.data(),
                       .out_stride = panel,
                       .rows = width(left),
                       .columns = width(right),
                       .depth = count});
        for (int64_t i = 0; i < std::min(panel, depth - left); ++i) {
          add_to_sums(products.data() + i * panel, std::min(panel, depth - right),
                      scatter + (left + i) * depth + right);
        }
      }
    }
  }
}

Eigen::MatrixXd covariance(MatrixView rows, const float* mean) {
  const int64_t depth = rows.cols;
  const int64_t segments = segment_count(rows.rows, depth * depth * 8);
  std::vector<std::vector<double>> partial(static_cast<size_t>(segments));
  parallel_for(segments, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      auto& scatter = partial[static_cast<size_t>(s)];
      scatter.assign(static_cast<size_t>(depth * depth), 0);
      add_scatter(rows, mean, rows.rows * s / segments, rows.rows * (s + 1) / segments,
                  scatter.data());
    }
  });
  Eigen::MatrixXd result = Eigen::MatrixXd::Zero(depth, depth);
  for (const auto& scatter : partial) {
    for (int64_t i = 0; i < depth; ++i) {
      for (int64_t j = i; j < depth; ++j) {
        result(j, i) += scatter[static_cast<size_t>(i * depth + j)];  // the lower half is read
      }
    }
  }
  return result / static_cast<double>(rows.rows - 1);
}

}  // namespace

Pca fit_pca(MatrixView rows, int64_t components, bool whiten) {
  if (components < 1 || components > rows.cols) {
    fail_usage("PCA: expected 1 to {} components for rows of {} values, found {}", rows.cols,
               rows.cols, components);
  }
  if (rows.rows < 2) fail_usage("PCA: needs at least 2 rows, found {}", rows.rows);
  Pca pca;
  pca.whitened = whiten;
  pca.mean = Tensor(DType::f32, {rows.cols});
  const auto mean = pca.mean.as<float>();
  std::ranges::transform(mean_of(rows), mean.begin(),
                         [](double value) { return static_cast<float>(value); });

  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance(rows, mean.data()));
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

Tensor transform(const Pca& pca, MatrixView rows) {
  if (rows.cols != pca.inputs()) {
    fail("PCA: rows of {} values, fitted on {}", rows.cols, pca.inputs());
  }
  const int64_t depth = rows.cols, outputs = pca.outputs();
  PackedMatrix weights(depth, outputs);
  const float* components = pca.components.as<float>().data();
  for (int64_t p = 0; p < outputs; ++p) weights.set_column(p, components + p * depth, 1);
  const float* mean = pca.mean.as<float>().data();
  const int64_t padded = weights.padded_columns();
  const std::vector<float> zeros(static_cast<size_t>(padded));

  Tensor result(DType::f32, {rows.rows, outputs});
  float* target = result.as<float>().data();
  constexpr int64_t block = 96;
  parallel_for(rows.rows, block, [&](int64_t begin, int64_t end) {
    std::vector<float> centred(static_cast<size_t>(block * depth));
    std::vector<float> products(static_cast<size_t>(block * padded));
    for (int64_t first = begin; first < end; first += block) {
      const int64_t count = std::min(block, end - first);
      for (int64_t i = 0; i < count; ++i) {
        const float* row = rows.row(first + i);
        for (int64_t d = 0; d < depth; ++d)
          centred[static_cast<size_t>(i * depth + d)] = row[d] - mean[d];
      }
      weights.multiply(centred.data(), depth, 1, count, zeros.data(), products.data());
      for (int64_t i = 0; i < count; ++i) {
        std::copy_n(products.data() + i * padded, outputs, target + (first + i) * outputs);
      }
    }
  });
  return result;
}

}  // namespace hardmoe
