// Principal component analysis of an embedding: z = (x − mean)·Wᵀ, optionally scaled to unit
// variance; or z = x − mean alone. By the D×D covariance, found in one pass over streamed rows, so
// for D up to a few thousand; not for sparse data.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/point_stream.h"

namespace hardmoe {

struct Pca {
  Tensor mean;  ///< D float32
  /// P×D float32, W: orthonormal rows; whitened, each divided by its deviation. Of no elements:
  /// z = x − mean.
  Tensor components;
  std::vector<double> variance;  ///< P: of each direction kept, largest first, with divisor N − 1
  double total_variance = 0;     ///< of all D directions together
  bool whitened = false;

  bool rotates() const { return components.elements() > 0; }
  int64_t inputs() const { return mean.size(0); }
  int64_t outputs() const { return rotates() ? components.size(0) : inputs(); }
};

/// Fits `components` (P ≤ D) directions to `rows` (N×D, finite). Each direction's entry of largest
/// magnitude is positive, so that equal data give equal signs. Whitened, directions are left out
/// whose variance is not more than what `rounding` (Spread::rounding) of the values makes, as that
/// would be blown up to the size of all else; one is kept at least, of weight 0 where nothing
/// varies. Throws Error(usage) for P outside 1 … D or N < 2.
Pca fit_pca(PointStream& rows, int64_t components, bool whiten, double rounding = 0x1p-24);
/// Rows in memory.
Pca fit_pca(MatrixView rows, int64_t components, bool whiten,
            ClusterBackend& backend = cpu_cluster_backend(), double rounding = 0x1p-24);

/// z = x − centre (D values).
Pca centred_at(std::span<const float> centre);

/// Bytes that fit_pca needs at most besides the stream's own.
int64_t pca_bytes(int64_t cols, int64_t block_rows);

/// out (N×P) = the projections of rows, N×D.
void project_rows(const Pca& pca, MatrixView rows, ClusterBackend& backend, float* out);
/// N×P float32. A row's result depends on that row alone. Throws Error if the rows are not of D
/// columns.
Tensor transform(const Pca& pca, MatrixView rows, ClusterBackend& backend = cpu_cluster_backend());

}  // namespace hardmoe
