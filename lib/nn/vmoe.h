// V-MoE (Riquelme et al. 2021): a Vision Transformer in which some blocks have E MLPs, of which a gate
// chooses k for each token, and each of which takes no more tokens than it has room for. As in the
// authors' code (google-research/vmoe) softmax comes before the choice, noise is of deviation 1/E, and
// all MLPs of a block begin alike.
//
// Block 3's parameters: blocks.3.mlp.gate.fc.weight (E×D), and of expert e
// blocks.3.mlp.experts.fc1.e.weight (M×D) and so on; running statistic: blocks.3.mlp.gate.usage.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/model_config.h"
#include "nn/sparse.h"

namespace hardmoe {

/// Returns the transformer's settings, with the model's image size and input.
VitConfig transformer_of(const ModelConfig& config);

/// Returns the network and its balance losses. Throws Error(usage) as vit(), check_sparse() and
/// sparse_blocks() do.
SparseNetwork vmoe(const ModelConfig& config, int64_t tags);

/// Returns the numbers of the blocks that have experts, from 0: of every second one (1, 3, …) the last
/// `last`, or all if that is 0 (Riquelme et al. 2021, §2.1: "Every-2", "Last-n"). Throws Error(usage) if
/// there are fewer.
std::vector<int> sparse_blocks(int depth, int last);

}  // namespace hardmoe
