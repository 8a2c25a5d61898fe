// A network of ours (nn/network.h) with its weights as nodes of an ONNX graph. Maps are N×C×H×W
// there, tokens N×T×C; weights keep torchvision's names and layouts, and batch norms stay nodes of their own.
#pragma once

#include <string>

#include "export/onnx_graph.h"
#include "nn/network.h"
#include "tensor/safetensors.h"

namespace hardmoe {

/// The values of a network in a graph.
struct NetworkValues {
  std::string feature;  ///< N×D, or a map
  std::string logits;   ///< N×V; empty for a trunk
};

/// Returns colours from 0 to 1 (float32 N×3×H×W) less the network's mean, over its deviation.
std::string write_normalised(OnnxGraph& graph, const Network& network, const std::string& images);

/// Appends the network's nodes. `input`: normalised images, maps or features, as it takes them.
/// `prefix`: goes before the names of nodes and weights. Throws Error naming `prefix` if the weights
/// do not fit, or an operator that has no counterpart.
NetworkValues write_network(OnnxGraph& graph, const Network& network, const StateDict& weights,
                            const std::string& prefix, const std::string& input);

}  // namespace hardmoe
