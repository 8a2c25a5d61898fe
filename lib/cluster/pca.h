// Principal component analysis of an embedding: z = (x − mean)·Wᵀ, optionally scaled to unit
// variance; or just z = x − mean. Computed from the D×D covariance in one pass over streamed rows,
// so it suits D up to a few thousand. Not for sparse data.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/point_stream.h"

namespace hardmoe {

/// A fitted projection of D values to P.
struct Pca {
  Tensor mean;  ///< D float32
  /// W, P×D float32: orthonormal rows, each divided by its deviation if whitened. Without elements:
  /// z = x − mean.
  Tensor components;
  std::vector<double> variance;  ///< P: of each kept direction, largest first, with divisor N − 1
  double total_variance = 0;     ///< summed over all D directions
  bool whitened = false;

  bool rotates() const { return components.elements() > 0; }
  int64_t inputs() const { return mean.size(0); }
  int64_t outputs() const { return rotates() ? components.size(0) : inputs(); }
};

/// Fits `components` directions (P ≤ D) to `rows` (N×D, finite). Each direction's entry of largest
/// magnitude is positive, so that equal data give equal signs. If `whiten`, directions are left out
/// whose variance is within what the values' `rounding` (Spread::rounding) explains, because
/// whitening would blow up that noise; at least one is kept, with weight 0 if nothing varies.
/// Throws Error(usage) for P outside 1 … D or N < 2.
Pca fit_pca(PointStream& rows, int64_t components, bool whiten, double rounding = 0x1p-24);
/// The same for rows in memory.
Pca fit_pca(MatrixView rows, int64_t components, bool whiten,
            ClusterBackend& backend = cpu_cluster_backend(), double rounding = 0x1p-24);

/// Returns the projection z = x − centre (D values), which keeps all dimensions.
Pca centred_at(std::span<const float> centre);

/// Returns the most bytes that fit_pca needs besides the stream's buffers.
int64_t pca_bytes(int64_t cols, int64_t block_rows);

/// Writes the projections (N×P) of `rows` (N×D) to `out`.
void project_rows(const Pca& pca, MatrixView rows, ClusterBackend& backend, float* out);
/// Returns the projections of `rows`, N×P float32. Each depends on its own row only. Throws Error
/// unless the rows have D columns.
Tensor transform(const Pca& pca, MatrixView rows, ClusterBackend& backend = cpu_cluster_backend());

}  // namespace hardmoe
