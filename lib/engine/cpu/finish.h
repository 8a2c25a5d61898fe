// What becomes of a convolution's sums before they are stored: a batch norm whose scale is in the
// weights, the add and the ReLU behind it, in one pass over the map.
#pragma once

namespace hardmoe::cpu {

/// y = [relu](sum + bias [+ residual]).
struct Finish {
  const float* bias = nullptr;     ///< one a channel; null: none
  const void* residual = nullptr;  ///< a map like y, in its precision, perhaps y itself; null: none
  bool relu = false;
};

/// Which parts of it there are.
struct FinishKind {
  bool bias = false, residual = false, relu = false;
  bool any() const { return bias || residual || relu; }
};

}  // namespace hardmoe::cpu
