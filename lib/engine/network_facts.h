// Facts about a network, computed from its operators: types of its values, parameters, cost,
// initial weights. Uses no device.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/ops/operator.h"
#include "nn/network.h"
#include "tensor/safetensors.h"

namespace hardmoe {

/// Returns the type of every value, by number. Throws Error naming the operator whose inputs do not
/// fit it; Error(usage) if the images are too small for a convolution or a pooling.
std::vector<ValueType> value_types(const Network& network);

/// Returns D, the number of values in an image's feature.
int64_t feature_size(const Network& network);
/// Returns V, the number of an image's logits; 0 if the network is only a trunk.
int64_t logits_size(const Network& network);

/// Returns all parameters and running statistics, in the order of the operators.
std::vector<ParameterSpec> parameters_of(const Network& network);

/// Returns the number of learned scalars; running statistics are not counted.
int64_t parameter_count(const Network& network);

/// Returns the floating-point operations of one image's forward pass. A multiply-add counts as two;
/// only products of matrices are counted: convolutions, linear layers, attention.
double flops_per_image(const Network& network);

/// Returns the floating-point operations of training on one image, counted as by flops_per_image():
/// every operator's forward pass and, as much again each, the gradients of its weights, unless they
/// are `frozen` (CompileOptions), and of its input, if something below is trained: twice where both
/// factors are inputs, in attention. Every operator is taken to lie below a loss or to be frozen.
double training_flops_per_image(Network network, const std::vector<std::string>& frozen);

/// Returns initial weights, float32, as the operators define them (engine/ops/): a function of the
/// network and the seed.
StateDict initial_weights(const Network& network, uint64_t seed);

}  // namespace hardmoe
