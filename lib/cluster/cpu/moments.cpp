#include <algorithm>

#include "base/threads.h"
#include "cluster/cpu/backend.h"
#include "cluster/kernels.h"
#include "cluster/pca.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t chunk_rows = 256;  // summed in float32, then added to float64

/// Adds Σ (x − mean)(x − mean)ᵀ over rows [begin, end) to the blocks of `scatter` (D×D) on and
/// above the diagonal.
void scatter_segment(MatrixView rows, const float* mean, int64_t begin, int64_t end,
                     double* scatter) {
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

}  // namespace

void ClusterCpu::add_column_sums(const Points& points, std::span<double> sums) {
  const MatrixView rows = points.view();
  const int64_t segments = segment_count(rows.rows, rows.cols * 8);
  std::vector<std::vector<double>> partial(static_cast<size_t>(segments));
  parallel_for(segments, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      auto& sum = partial[static_cast<size_t>(s)];
      sum.assign(sums.size(), 0);
      const int64_t last = rows.rows * (s + 1) / segments;
      for (int64_t i = rows.rows * s / segments; i < last; ++i) {
        add_to_sums(rows.row(i), rows.cols, sum.data());
      }
    }
  });
  for (const auto& sum : partial) {
    for (size_t d = 0; d < sums.size(); ++d) sums[d] += sum[d];
  }
}

void ClusterCpu::add_scatter(const Points& points, std::span<const float> mean,
                             std::span<double> scatter) {
  const MatrixView rows = points.view();
  const int64_t segments = segment_count(rows.rows, rows.cols * rows.cols * 8);
  std::vector<std::vector<double>> partial(static_cast<size_t>(segments));
  parallel_for(segments, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      auto& sum = partial[static_cast<size_t>(s)];
      sum.assign(scatter.size(), 0);
      scatter_segment(rows, mean.data(), rows.rows * s / segments, rows.rows * (s + 1) / segments,
                      sum.data());
    }
  });
  for (const auto& sum : partial) {
    for (size_t i = 0; i < scatter.size(); ++i) scatter[i] += sum[i];
  }
}

void ClusterCpu::project(const Points& points, const Pca& pca, float* out) {
  const MatrixView rows = points.view();
  const int64_t depth = rows.cols, outputs = pca.outputs();
  PackedMatrix weights(depth, outputs);
  const float* components = pca.components.as<float>().data();
  for (int64_t p = 0; p < outputs; ++p) weights.set_column(p, components + p * depth, 1);
  const float* mean = pca.mean.as<float>().data();
  const int64_t padded = weights.padded_columns();
  const std::vector<float> zeros(static_cast<size_t>(padded));

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
        std::copy_n(products.data() + i * padded, outputs, out + (first + i) * outputs);
      }
    }
  });
}

}  // namespace hardmoe::cpu
