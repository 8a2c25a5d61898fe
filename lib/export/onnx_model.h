// An ONNX file: a graph, texts about it, and the weights, in it or in a second file beside it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "export/onnx_graph.h"

namespace hardmoe {

/// From so many bytes of weights on they lie in a second file: a protobuf message ends at 2 GiB.
inline constexpr int64_t most_bytes_inside = 1'500'000'000;

/// What the names of both files end with; the second one's is the first one's and this.
inline constexpr const char* onnx_data_suffix = ".data";

class OnnxModel {
 public:
  /// Begins `file`, and `file`.data where `weight_bytes` are most_bytes_inside or more. Weights go
  /// there as they come, so that they need not be in memory together. Nothing is seen of either
  /// file before save().
  OnnxModel(std::filesystem::path file, const std::string& graph_name, int64_t weight_bytes);
  ~OnnxModel();
  OnnxModel(const OnnxModel&) = delete;
  OnnxModel& operator=(const OnnxModel&) = delete;

  /// Returns the main graph.
  OnnxGraph& graph();
  /// Adds a text about the model, which programs read by its key.
  void add_metadata(const std::string& key, const std::string& value);
  /// Writes the files, each whole or not at all; returns their names, the model's first.
  std::vector<std::string> save();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace hardmoe
