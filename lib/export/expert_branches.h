// Experts as parts of an ONNX graph of which each runs only for the images that were given to it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "export/onnx_graph.h"

namespace hardmoe {

/// Adds an expert's nodes. Returns its answers to `rows` (n×…), each n×width, as many as
/// ExpertAnswers::widths has.
using WriteExpert = std::function<std::vector<std::string>(OnnxGraph& graph, int64_t expert,
                                                           const std::string& rows)>;

/// What all experts are asked.
struct ExpertAnswers {
  int64_t experts = 0;             ///< K
  std::string chosen;              ///< int64 N: each image's expert
  std::string input;               ///< N×…: images, or maps
  std::vector<std::string> names;  ///< of the answers
  std::vector<int64_t> widths;     ///< of the answers, N×width each
  WriteExpert write;
};

/// How an expert is kept from running for other images.
enum class ExpertForm {
  /// A mask of each expert's rows, Compress, the expert, and one ScatterND of all answers. Any N; an
  /// expert without rows computes nothing.
  rows,
  /// For N = 1: If within If as a balanced tree, as a chain of more than some 30 would nest deeper
  /// than protobuf reads. An If has one condition: of a batch all would have the first one's expert.
  branches,
};

/// Returns the answers, N×width each, of each row's expert.
std::vector<std::string> write_experts(OnnxGraph& graph, const ExpertAnswers& asked,
                                       ExpertForm form);

}  // namespace hardmoe
