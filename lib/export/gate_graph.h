// The gates of a layer of experts as nodes of an ONNX graph, and what they make of experts' answers.
// Every expert computes every row there; what counts of it is its gate, 0 for most.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/ops/capacity.h"
#include "engine/ops/top_k.h"
#include "export/onnx_graph.h"

namespace hardmoe {

/// Returns the k largest of values (…×E) as gates, the others 0; ties go to the lower number.
std::string write_top_k(OnnxGraph& graph, const TopK& op, const std::string& values,
                        const std::string& name);

/// Returns the gates (N×T×E) of the tokens that experts have room for in inference, the others 0.
/// `tokens`: T. Throws Error if a group is of several images.
std::string write_capacity(OnnxGraph& graph, const Capacity& op, const std::string& gates,
                           int64_t tokens, int64_t experts, const std::string& name);

/// Returns the sum of experts' answers, each times its gate. `behind`: how many extents an answer has
/// behind those that it has in common with the gates.
std::string write_combined(OnnxGraph& graph, const std::vector<std::string>& answers,
                           const std::string& gates, int behind, const std::string& name);

}  // namespace hardmoe
