// Principal component analysis of an embedding: z = (x − mean)·Wᵀ, optionally scaled to unit
// variance. By the D×D covariance, found in one pass over streamed rows, so for D up to a few
// thousand; not for sparse data.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/point_stream.h"

namespace hardmoe {

struct Pca {
  Tensor mean;        ///< D float32
  Tensor components;  ///< P×D float32, W: orthonormal rows; whitened, each divided by its deviation
  std::vector<double> variance;  ///< P: of each direction kept, largest first, with divisor N − 1
  double total_variance = 0;     ///< of all D directions together
  bool whitened = false;

  int64_t inputs() const { return components.size(1); }
  int64_t outputs() const { return components.size(0); }
};

/// Fits `components` (P ≤ D) directions to `rows` (N×D, finite). Each direction's entry of largest
/// magnitude is positive, so that equal data give equal signs. Whitened, directions without
/// variance are given weight 0. Throws Error(usage) for P outside 1 … D or N < 2.
Pca fit_pca(PointStream& rows, int64_t components, bool whiten);
/// Rows in memory.
Pca fit_pca(MatrixView rows, int64_t components, bool whiten,
            ClusterBackend& backend = cpu_cluster_backend());

/// Bytes that fit_pca needs at most besides the stream's own.
int64_t pca_bytes(int64_t cols, int64_t block_rows);

/// N×P float32. A row's result depends on that row alone. Throws Error if the rows are not of D
/// columns.
Tensor transform(const Pca& pca, MatrixView rows, ClusterBackend& backend = cpu_cluster_backend());

}  // namespace hardmoe
