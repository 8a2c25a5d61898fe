// The type of a network's values: what one row is, the shape of a row, and how an element is held.
#pragma once

#include <cmath>
#include <cstdint>

#include "nn/network.h"

namespace hardmoe {

/// How an element is held in memory.
enum class Element {
  working,  ///< float32, or bf16 in a program of Precision::bf16
  float32,  ///< at every precision: pooled features, logits
  int32,    ///< counts and indices
};

/// What one row of a value is.
enum class RowKind {
  image,   ///< one row an image of the batch
  token,   ///< a fixed number of rows an image, all of an image behind one another
  routed,  ///< rows given to experts, expert by expert; how many of the planned rows are in use may
           ///< be decided within the step
};

struct Rows {
  RowKind kind = RowKind::image;
  /// Rows planned for each image of the batch; a fraction where a routed value has a capacity.
  double per_image = 1;
  bool operator==(const Rows&) const = default;
};

/// Buffers hold all planned rows. Of a routed value, the rows that a step leaves unused are zero
/// where the operator that routes made them, are computed like all others after it, and are read by
/// nobody: the operator that combines experts' rows gives them a gradient of zero.
struct ValueType {
  Extent extent;  ///< of one row
  Element element = Element::working;
  Rows rows = {};

  /// Rows that a program for batches of `batch` images has room for.
  int64_t planned_rows(int64_t batch) const {
    return static_cast<int64_t>(std::ceil(rows.per_image * static_cast<double>(batch) - 1e-6));
  }
  /// Elements of all rows that belong to one image.
  double elements_per_image() const {
    return rows.per_image * static_cast<double>(extent.elements());
  }
  bool operator==(const ValueType&) const = default;
};

}  // namespace hardmoe
