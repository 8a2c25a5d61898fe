// Checks of batches and results, before an engine reads or writes them. Uses no device.
#pragma once

#include "engine/engine.h"
#include "nn/batch.h"

namespace hardmoe {

/// Throws Error unless the batch's input has the shape and type the program was compiled for, and
/// uses all of its rows (training) or at least 1 (inference).
void check_batch(const Network& network, const CompileOptions& options, const Batch& batch);

/// Throws Error unless tag_ptr has an entry for each row and one more, never decreases and ends at
/// the number of tag ids, all ids are 0 … tags−1, and there are no row weights or one a row, each 0 or
/// more.
void check_tags(const Batch& batch, int64_t tags);

/// Throws Error naming `what` if `out` is shorter than `rows` rows of `size` values, or if `size`
/// is 0: the network has no such result. Accepts an empty span, which asks for nothing.
void check_results(int64_t size, int64_t rows, std::span<const float> out, const char* what);

}  // namespace hardmoe
