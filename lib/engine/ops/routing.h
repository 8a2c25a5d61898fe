// What a sparse layer's `route` says to the operators that give rows to experts: which rows each
// expert got, and where. It lies in one value of int32, so that it goes from operator to operator
// like any other. With R planned rows of the gates, E experts and k choices a row:
//
//   offsets  E + 1   routed rows offsets[e] … offsets[e+1]−1 are expert e's; offsets[E] are used
//   slots    R × k   the routed rows of a row, by its experts' numbers ascending; then −1
//   sources  R × k   the row that each routed row was made from; −1: unused
//
// An expert's rows are in the order of the rows they were made from.
#pragma once

#include <cstdint>

#include "engine/both_engines.h"
#include "engine/value_type.h"

namespace hardmoe {

/// Where the three parts begin in the value, in elements.
struct RoutingLayout {
  int64_t rows;  ///< R
  int64_t experts;
  int64_t chosen;  ///< k

  /// Returns the most routed rows there can be, which are those planned: R·k.
  HARDMOE_BOTH_ENGINES int64_t routed_rows() const { return rows * chosen; }
  HARDMOE_BOTH_ENGINES int64_t slots() const { return experts + 1; }
  HARDMOE_BOTH_ENGINES int64_t sources() const { return slots() + routed_rows(); }

  /// Returns the int32 that a routing has for each row; together enough for any R.
  static constexpr int64_t elements_per_row(int64_t experts, int64_t chosen) {
    return 2 * chosen + experts + 1;
  }
};

/// Returns the number of choices, k, of a routing for `experts` experts.
inline int64_t chosen_of(const ValueType& routing, int64_t experts) {
  return (routing.extent.channels - experts - 1) / 2;
}

}  // namespace hardmoe
