// Rows of matrices that are to be the same to the bit.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <span>

#include "tensor/tensor.h"

namespace hardmoe {

/// Returns row i of a matrix of float32.
inline std::span<const float> row_of(const Tensor& matrix, size_t i) {
  const auto columns = static_cast<size_t>(matrix.size(1));
  return matrix.as<float>().subspan(i * columns, columns);
}

/// Fails unless all bytes are equal; NaN equals itself.
inline void expect_same_row(std::span<const float> found, std::span<const float> expected) {
  ASSERT_EQ(found.size(), expected.size());
  EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size_bytes()), 0);
}

}  // namespace hardmoe
