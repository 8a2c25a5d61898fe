// A routing (engine/ops/routing.h) as the CPU's layers read it, and the rows that it leaves unused.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "engine/cpu/kernels.h"
#include "engine/ops/routing.h"

namespace hardmoe::cpu {

/// What a routing says, where it lies.
class Routing {
 public:
  Routing(const int32_t* data, const RoutingLayout& layout) : data_(data), layout_(layout) {}

  /// Returns an expert's first routed row, and how many it has.
  int64_t first(int64_t expert) const { return data_[expert]; }
  int64_t rows(int64_t expert) const { return data_[expert + 1] - data_[expert]; }
  /// Returns how many routed rows are used.
  int64_t used() const { return data_[layout_.experts]; }
  /// Returns a row's k routed rows; after the last, −1.
  const int32_t* slots(int64_t row) const { return data_ + layout_.slots() + row * layout_.chosen; }
  /// Returns the row that a used routed row was made from.
  int64_t source(int64_t routed) const { return data_[layout_.sources() + routed]; }

 private:
  const int32_t* data_;
  RoutingLayout layout_;
};

/// Sets the routed rows that are not used to zero, of an array that may be empty; `row` is their number
/// of elements.
inline void clear_unused(Activations array, const RoutingLayout& layout, const Routing& routing,
                         int64_t row) {
  if (!array) return;
  const int64_t size = array.precision == Precision::bf16 ? 2 : 4;
  const int64_t first = routing.used() * row, end = layout.routed_rows() * row;
  std::memset(from_element(array, first).data, 0, static_cast<size_t>((end - first) * size));
}

}  // namespace hardmoe::cpu
