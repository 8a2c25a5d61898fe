#include "cluster/unit_rows.h"

#include <cmath>

namespace hardmoe {

void write_unit_rows(MatrixView rows, float* out) {
  for (int64_t i = 0; i < rows.rows; ++i) {
    const float* row = rows.row(i);
    double squares = 0;
    for (int64_t d = 0; d < rows.cols; ++d) squares += double{row[d]} * double{row[d]};
    const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
    for (int64_t d = 0; d < rows.cols; ++d) {
      out[i * rows.cols + d] = static_cast<float>(double{row[d]} * scale);
    }
  }
}

Tensor unit_rows(MatrixView rows) {
  Tensor unit = Tensor::uninitialized(DType::f32, {rows.rows, rows.cols});
  write_unit_rows(rows, unit.as<float>().data());
  return unit;
}

}  // namespace hardmoe
