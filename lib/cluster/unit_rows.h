// Rows at length 1, of which inner products are cosines.
#pragma once

#include "cluster/matrix_view.h"

namespace hardmoe {

/// Returns the rows (N×D) divided by their lengths, float32; rows of zeros stay so.
Tensor unit_rows(MatrixView rows);

/// Writes the same of one block of rows to `out`, count×D.
void write_unit_rows(MatrixView rows, float* out);

}  // namespace hardmoe
