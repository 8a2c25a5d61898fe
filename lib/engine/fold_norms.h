// Batch norms of inference as a part of the convolutions before them: their scale goes into the
// weights, their shift, residual and ReLU into how sums are stored (Conv::norm), so that a map is
// written once and read once less. A max pooling behind them joins, too: the large map before it is
// then never there as a whole.
#pragma once

#include "engine/graph.h"

namespace hardmoe {

/// Joins each batch norm to the convolution before it, and a max pooling to the two, where nothing else
/// reads what is between them and it is no result. The joined node is at the place of its last: a
/// residual may be made between the others. Changes graph.nodes alone, to be called before their readers are found.
void fold_norms(Graph& graph);

}  // namespace hardmoe
