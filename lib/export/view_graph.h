// What an image becomes before a network sees it, as nodes of an ONNX graph: the middle square,
// antialiased bilinear resampling to the network's size, colours from 0 to 1. As
// image/view_maker.h in evaluation, but of whole decoded images: that decodes a JPEG no larger than
// it must.
#pragma once

#include <string>

#include "export/onnx_graph.h"
#include "nn/model_config.h"

namespace hardmoe {

/// Returns the views of `images`, uint8 N×H×W×3 (RGB, upright) of any one size, as float32
/// N×3×S×S, S being the model's image size.
std::string write_views(OnnxGraph& graph, const ModelConfig& model, const std::string& images);

/// Returns whether two networks look at the same views.
bool is_same_view(const ModelConfig& a, const ModelConfig& b);

}  // namespace hardmoe
