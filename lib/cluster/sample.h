// A few rows of a large matrix.
#pragma once

#include "base/random.h"
#include "cluster/matrix_view.h"

namespace hardmoe {

/// `count` rows of `matrix` drawn without replacement, in their order there; all of them if there
/// are no more. float32.
Tensor sample_rows(MatrixView matrix, int64_t count, Random random);

}  // namespace hardmoe
