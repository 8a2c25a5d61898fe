// All operators: a new one is one line here and files of its own (docs/adding-an-operator.md).
#pragma once

#include <variant>

#include "engine/ops/add.h"
#include "engine/ops/batch_norm.h"
#include "engine/ops/conv.h"
#include "engine/ops/gelu.h"
#include "engine/ops/global_avg_pool.h"
#include "engine/ops/layer_norm.h"
#include "engine/ops/linear.h"
#include "engine/ops/max_pool.h"
#include "engine/ops/relu.h"
#include "engine/ops/tag_loss.h"
#include "engine/ops/tokens.h"

namespace hardmoe {

using Operator = std::variant<Add, BatchNorm, Conv, Gelu, GlobalAvgPool, LayerNorm, Linear, MaxPool,
                              Relu, TagLoss, Tokens>;

/// The operator that `op` names. Throws Error for a type that is none of the above, listing them,
/// and for attributes the type does not have.
Operator make_operator(const Op& op);

/// Whether the output is held with as many channels as the first input.
bool keeps_channels(const Operator& op);

}  // namespace hardmoe
