// A ResNet some of whose stages are E narrowed stages of two basic blocks each, of which a gate
// chooses k for each image; their outputs, each times its gate, are added. Shazeer et al. 2017 (the
// gate), Pavlitska et al. 2022 (stages, and a gate of their own).
//
// Stage 4's parameters: layer4.gate.fc.weight, layer4.gate.noise.weight, layer4.gate.conv.weight where
// there is one, and of expert e layer4.experts.0.conv1.e.weight (M×I×3×3) and so on; running
// statistics: layer4.gate.usage, layer4.gate.top_k.running and .steps.
#pragma once

#include <cstdint>

#include "nn/model_config.h"
#include "nn/sparse.h"

namespace hardmoe {

/// Returns the network and its balance losses. Throws Error(usage) as resnet() and check_sparse() do.
SparseNetwork sparse_resnet(const ModelConfig& config, int64_t tags);

/// Returns the inner channels of an expert at which `chosen` experts take as many operations as the
/// dense stage, or the nearest number to that; at least 1.
int matched_channels(const ModelConfig& config, int stage, int chosen);

}  // namespace hardmoe
