#include "export/onnx_model.h"

#include <onnx.pb.h>

#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/version.h"

namespace hardmoe {
namespace {

// What ONNX 1.13 of 2022 reads: Resize has antialiasing since opset 18, which goes with version 8.
constexpr int64_t file_version = onnx::IR_VERSION_2021_7_30, operators = 18;

constexpr size_t least_outside = 1024;  ///< bytes; smaller constants shape other values
constexpr size_t alignment = 4096;      ///< of weights outside, so that they may be mapped

/// Weights in the file itself.
class Inside final : public OnnxStorage {
 public:
  void store(const Tensor& tensor, onnx::TensorProto& to) override {
    to.set_raw_data(tensor.data(), tensor.bytes());
  }
};

/// Weights in a second file.
class Outside final : public OnnxStorage {
 public:
  explicit Outside(const std::filesystem::path& file)
      : name_(file.filename().string()), file_(file) {}

  void store(const Tensor& tensor, onnx::TensorProto& to) override {
    if (tensor.bytes() < least_outside) return Inside().store(tensor, to);
    const std::string gap((alignment - size_ % alignment) % alignment, '\0');
    file_.write(gap);
    size_ += gap.size();
    to.set_data_location(onnx::TensorProto::EXTERNAL);
    const auto add = [&](const char* key, const std::string& value) {
      auto& entry = *to.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    };
    add("location", name_);
    add("offset", std::to_string(size_));
    add("length", std::to_string(tensor.bytes()));
    file_.write(tensor.data(), tensor.bytes());
    size_ += tensor.bytes();
  }

  std::string commit() {
    file_.commit();
    return name_;
  }

 private:
  std::string name_;
  AtomicFile file_;
  size_t size_ = 0;
};

}  // namespace

struct OnnxModel::Parts {
  explicit Parts(std::filesystem::path path) : file(std::move(path)) {}
  std::filesystem::path file;
  onnx::ModelProto model;
  Inside inside;
  std::optional<Outside> outside;
  std::optional<OnnxContext> context;
  std::optional<OnnxGraph> graph;
};

OnnxModel::OnnxModel(std::filesystem::path file, const std::string& graph_name,
                     int64_t weight_bytes)
    : parts_(std::make_unique<Parts>(std::move(file))) {
  Parts& parts = *parts_;
  if (weight_bytes >= most_bytes_inside) {
    parts.outside.emplace(parts.file.string() + onnx_data_suffix);
  }
  parts.context.emplace(OnnxContext{parts.outside ? static_cast<OnnxStorage&>(*parts.outside)
                                                  : static_cast<OnnxStorage&>(parts.inside)});
  parts.model.set_ir_version(file_version);
  parts.model.set_producer_name("hardmoe");
  parts.model.set_producer_version(version);
  parts.model.add_opset_import()->set_version(operators);
  parts.model.mutable_graph()->set_name(graph_name);
  parts.graph.emplace(*parts.model.mutable_graph(), *parts.context);
}

OnnxModel::~OnnxModel() = default;

OnnxGraph& OnnxModel::graph() { return *parts_->graph; }

void OnnxModel::add_metadata(const std::string& key, const std::string& value) {
  auto& entry = *parts_->model.add_metadata_props();
  entry.set_key(key);
  entry.set_value(value);
}

std::vector<std::string> OnnxModel::save() {
  Parts& parts = *parts_;
  std::vector<std::string> names = {parts.file.filename().string()};
  std::string bytes;
  if (!parts.model.SerializeToString(&bytes)) {
    fail("{}: the model is larger than a protobuf message may be, 2 GiB", parts.file.string());
  }
  if (parts.outside) names.push_back(parts.outside->commit());
  write_file_atomic(parts.file, bytes);
  return names;
}

}  // namespace hardmoe
