// The type of a network's value: what one row is, the shape of a row, and the type of an element.
#pragma once

#include <cmath>
#include <cstdint>

#include "nn/network.h"

namespace hardmoe {

/// The type of an element in memory.
enum class Element {
  working,  ///< float32; in a program of Precision::bf16, bf16
  float32,  ///< float32 at every precision: pooled features, logits
  int32,    ///< counts and indices
};

/// What one row of a value is.
enum class RowKind {
  image,   ///< one row for each image of the batch
  token,   ///< a fixed number of rows for each image; an image's rows are adjacent
  routed,  ///< rows given to the experts of a layer, sorted by expert (engine/ops/routing.h); how
           ///< many of the planned rows are used is decided in the step
};

struct Rows {
  RowKind kind = RowKind::image;
  double per_image = 1;  ///< rows planned for each image of the batch
  /// The share of them that experts' capacity has room for at most (engine/ops/capacity.h).
  double room = 1;
  bool operator==(const Rows&) const = default;
};

/// The type of a value. Its buffer holds all planned rows. Rules for the unused rows of a routed
/// value: the operator that dispatches sets them to zero, as do those of experts, which compute only
/// the rows that were given to one; other operators compute them like all others; the operator that
/// combines the experts' rows ignores them, so their gradient is zero.
struct ValueType {
  Extent extent;  ///< of one row
  Element element = Element::working;
  Rows rows = {};

  /// Returns the rows for a batch of `batch` images, rounded up.
  int64_t planned_rows(int64_t batch) const {
    return static_cast<int64_t>(std::ceil(rows.per_image * static_cast<double>(batch) - 1e-6));
  }
  /// Returns the elements of one image: those of all its rows.
  double elements_per_image() const {
    return rows.per_image * static_cast<double>(extent.elements());
  }
  bool operator==(const ValueType&) const = default;
};

}  // namespace hardmoe
