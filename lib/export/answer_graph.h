// How logits become the answer of a model or mixture, as nodes of an ONNX graph: probabilities, the
// base's share in them, the unified embedding.
#pragma once

#include <string>

#include "engine/spec.h"
#include "export/onnx_graph.h"
#include "moe/mixture_config.h"

namespace hardmoe {

/// Returns the probabilities of logits, N×V both.
std::string write_probabilities(OnnxGraph& graph, LossKind loss, const std::string& logits);

/// Returns share·a + (1−share)·b of values of one shape.
std::string write_blend(OnnxGraph& graph, double share, const std::string& a, const std::string& b);

/// Returns the rows of the unified embedding (N×D or N×2D), of features of base and expert (N×D).
/// `base` is not read for the expert's alone.
std::string write_embedding(OnnxGraph& graph, EmbeddingKind kind, double share,
                            const std::string& base, const std::string& expert);

}  // namespace hardmoe
