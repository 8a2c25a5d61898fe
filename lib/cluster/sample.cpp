#include "cluster/sample.h"

#include <algorithm>

namespace hardmoe {

Tensor sample_rows(MatrixView matrix, int64_t count, Random random) {
  const int64_t rows = std::min(count, matrix.rows);
  Tensor sample(DType::f32, {rows, matrix.cols});
  float* target = sample.as<float>().data();
  // Selection sampling (Knuth, The Art of Computer Programming, volume 2, algorithm S).
  int64_t taken = 0;
  for (int64_t i = 0; taken < rows; ++i) {
    const auto left = static_cast<uint64_t>(matrix.rows - i);
    if (random.below(left) >= static_cast<uint64_t>(rows - taken)) continue;
    std::copy_n(matrix.row(i), matrix.cols, target + taken * matrix.cols);
    ++taken;
  }
  return sample;
}

}  // namespace hardmoe
