// A convolution with the batch norm behind it, for inference.
#pragma once

#include <memory>

#include "engine/cpu/layer.h"
#include "engine/ops/conv.h"

namespace hardmoe::cpu {

/// Returns the layer of a convolution that has a norm (Conv::norm).
std::unique_ptr<Layer> make_folded_conv(const Conv& op, LayerBuilder& builder);

}  // namespace hardmoe::cpu
