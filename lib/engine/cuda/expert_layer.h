// The layers of expert_conv and expert_linear on a GPU: they differ in their shape, and in the bias.
#pragma once

#include <memory>

#include "engine/cuda/expert_products.h"
#include "engine/cuda/layer.h"

namespace hardmoe::cuda {

/// Returns the layer of a node whose inputs are routed rows and their routing.
std::unique_ptr<Layer> make_expert_layer(int64_t experts, const Window& window, bool bias,
                                         LayerBuilder& builder);

}  // namespace hardmoe::cuda
