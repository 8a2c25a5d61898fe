// The network of a model, whatever its kind: for everything that trains, evaluates or writes models.
// What works for ResNets alone (cutting one in two, nn/resnet.h) asks is_resnet() first.
#pragma once

#include <cstdint>
#include <string>

#include "nn/model_config.h"
#include "nn/network.h"

namespace hardmoe {

/// Returns the model's network with a classifier head for `tags` tags, V (parameters fc.weight,
/// fc.bias), or without a head if V is 0. Throws Error(usage) as check_layers() and the builder of its
/// kind do.
Network network_of(const ModelConfig& config, int64_t tags);

/// Throws Error(usage) naming the setting of sparse.layer that is impossible for the model; a dense
/// model has none.
void check_layers(const ModelConfig& config);

/// Returns the same network with the balance losses that training adds, none for a dense model.
SparseNetwork sparse_network_of(const ModelConfig& config, int64_t tags);

/// Returns whether the model is a plain ResNet.
bool is_resnet(const ModelConfig& config);

/// Throws Error(usage) unless the model is a plain ResNet. `what`: the setting that needs one, which
/// begins the sentence.
void require_resnet(const ModelConfig& config, const std::string& what);

/// Returns the kind of the model and its size, for people: "ResNet-18 of width 64".
std::string name_of(const ModelConfig& config);

}  // namespace hardmoe
