// The list of all operators. A new one needs two lines here (an #include and its name) and files of
// its own: docs/adding-an-operator.md.
#pragma once

#include <variant>

#include "engine/ops/add.h"
#include "engine/ops/attention.h"
#include "engine/ops/balance_loss.h"
#include "engine/ops/batch_norm.h"
#include "engine/ops/bias.h"
#include "engine/ops/capacity.h"
#include "engine/ops/class_token.h"
#include "engine/ops/combine.h"
#include "engine/ops/conv.h"
#include "engine/ops/dispatch.h"
#include "engine/ops/expert_conv.h"
#include "engine/ops/expert_linear.h"
#include "engine/ops/expert_norm.h"
#include "engine/ops/gelu.h"
#include "engine/ops/global_avg_pool.h"
#include "engine/ops/layer_norm.h"
#include "engine/ops/linear.h"
#include "engine/ops/load_loss.h"
#include "engine/ops/max_pool.h"
#include "engine/ops/noise.h"
#include "engine/ops/positions.h"
#include "engine/ops/relu.h"
#include "engine/ops/route.h"
#include "engine/ops/scaled_noise.h"
#include "engine/ops/softmax.h"
#include "engine/ops/softplus.h"
#include "engine/ops/tag_loss.h"
#include "engine/ops/teacher_loss.h"
#include "engine/ops/token_pool.h"
#include "engine/ops/tokens.h"
#include "engine/ops/top_k.h"

namespace hardmoe {

using Operator =
    std::variant<Add, Attention, BalanceLoss, BatchNorm, Bias, Capacity, ClassToken, Combine, Conv,
                 Dispatch, ExpertConv, ExpertLinear, ExpertNorm, Gelu, GlobalAvgPool, LayerNorm,
                 Linear, LoadLoss, MaxPool, Noise, Positions, Relu, Route, ScaledNoise, Softmax,
                 Softplus, TagLoss, TeacherLoss, TokenPool, Tokens, TopK>;

/// Returns the operator that `op` describes. Throws Error for an unknown type, listing the known
/// ones; for an attribute that is missing; and for one that the type does not have.
Operator make_operator(const Op& op);

/// Returns the operator's keeps_channels: whether its output has its first input's channels.
bool keeps_channels(const Operator& op);

}  // namespace hardmoe
