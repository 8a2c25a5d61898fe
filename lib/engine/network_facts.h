// What a network is, worked out from its operators: types of its values, parameters, cost, fresh
// weights. Host-side, no device.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/ops/operator.h"
#include "nn/network.h"
#include "tensor/safetensors.h"

namespace hardmoe {

/// The type of every value, by number. Throws Error naming the operator whose inputs do not fit it;
/// Error(usage) where larger images would.
std::vector<ValueType> value_types(const Network& network);

/// Elements of the embedding of one image, D, and of its logits, V (0: a trunk only).
int64_t feature_size(const Network& network);
int64_t logits_size(const Network& network);

/// Every tensor the network needs, in the order of its operators.
std::vector<ParameterSpec> parameters_of(const Network& network);

/// Number of learned scalars.
int64_t parameter_count(const Network& network);

/// Floating-point operations of one image's forward pass, a multiply-add counted as two;
/// convolutions and linear layers only.
double flops_per_image(const Network& network);

/// Fresh weights as the operators define them (engine/ops/): a function of the network and the
/// seed.
StateDict initial_weights(const Network& network, uint64_t seed);

}  // namespace hardmoe
