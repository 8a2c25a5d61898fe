// Points for tests of clustering.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "tensor/tensor.h"

namespace hardmoe {

/// Returns points of `groups` Gaussian clusters of very uneven sizes: the j-th gets a share ~ 1/(j+1).
inline Tensor uneven_clusters(int64_t rows, int64_t depth, int64_t groups) {
  Random random(11, RandomUse::test);
  std::vector<float> centres(static_cast<size_t>(groups * depth));
  for (float& value : centres) value = random.normal();
  Tensor points(DType::f32, {rows, depth});
  for (int64_t i = 0; i < rows; ++i) {
    const double share = std::pow(static_cast<double>(groups), random.uniform_double()) - 1;
    const auto group = static_cast<int64_t>(share);
    for (int64_t d = 0; d < depth; ++d) {
      points.as<float>()[static_cast<size_t>(i * depth + d)] =
          centres[static_cast<size_t>(group * depth + d)] + 1.5F * random.normal();
    }
  }
  return points;
}

}  // namespace hardmoe
