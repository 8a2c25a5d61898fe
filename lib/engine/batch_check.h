// What every engine asks of a batch before it touches it. Host-side, no device.
#pragma once

#include "engine/engine.h"
#include "nn/batch.h"

namespace hardmoe {

/// Throws Error unless the batch has the shape, type and number of rows the program was compiled
/// for.
void check_batch(const Network& network, const CompileOptions& options, const Batch& batch);

/// Throws Error unless the tags cover the rows in order and are 0 … tags−1.
void check_tags(const Batch& batch, int64_t tags);

/// Throws Error if `out` has no room for `rows` rows of `size` values, named `what`, or if the
/// network has none of them (size 0). An empty span wants nothing.
void check_results(int64_t size, int64_t rows, std::span<const float> out, const char* what);

}  // namespace hardmoe
