// The gater (moe/gater.h) as nodes of an ONNX graph: PCA, centroids, prices, centroids grouped into
// experts, halved experts. Of equal scores the first centroid wins, as there.
#pragma once

#include <string>

#include "export/onnx_graph.h"
#include "moe/gater.h"

namespace hardmoe {

/// Returns the experts, int64 N, that features (float32 N×D) lead to. Not for a gater that draws
/// experts at random: a graph has no image numbers to draw by.
std::string write_gater(OnnxGraph& graph, const Gater& gater, bool use_prices,
                        const std::string& features);

/// Returns the position of the least or greatest value of each row (N×M), int64 N; of equal ones
/// the first.
std::string write_least(OnnxGraph& graph, const std::string& rows);
std::string write_greatest(OnnxGraph& graph, const std::string& rows);

}  // namespace hardmoe
