// An ONNX graph under construction, by the classes that protoc makes of ONNX's schema: nodes,
// constants and branches. Values are texts, the names they have in the file; a value of a graph may
// be read in its branches, too. Operators are those of opset 18. Not for whole files: see
// export/onnx_model.h.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tensor/tensor.h"

namespace onnx {
class GraphProto;
class NodeProto;
class TensorProto;
class ValueInfoProto;
}  // namespace onnx

namespace hardmoe {

/// The element types that values of ours have.
enum class OnnxElement { f32, i64, u8 };

/// One extent of a value: a number, or a name for one that is known only when it runs.
using OnnxExtent = std::variant<int64_t, std::string>;

/// A value that a graph takes or gives.
struct OnnxValue {
  std::string name;
  OnnxElement element = OnnxElement::f32;
  std::vector<OnnxExtent> extents;
};

/// An attribute of a node.
using OnnxAttribute =
    std::pair<std::string, std::variant<int64_t, float, std::string, std::vector<int64_t>>>;

/// Decides where the values of a constant are stored.
class OnnxStorage {
 public:
  virtual ~OnnxStorage() = default;
  /// Stores the tensor's bytes in `to`, or elsewhere and says there where.
  virtual void store(const Tensor& tensor, onnx::TensorProto& to) = 0;
};

/// What the graphs of one model have in common.
struct OnnxContext {
  OnnxStorage& storage;
  std::set<std::string> names = {};  ///< that are given away: they are unique over all branches
};

class OnnxGraph {
 public:
  /// Both must outlive this.
  OnnxGraph(onnx::GraphProto& graph, OnnxContext& context) : graph_(graph), context_(context) {}

  /// Declares an input. Returns its name.
  std::string input(const OnnxValue& value);
  /// Declares an output: gives `value` the name that `output` has.
  void output(const std::string& value, const OnnxValue& output);

  /// Appends a node with one output, and returns that. `name`: of the node and its output; where it
  /// is empty or given away, one is made of it or of the operator's.
  std::string node(const std::string& type, const std::vector<std::string>& inputs,
                   const std::vector<OnnxAttribute>& attributes = {}, const std::string& name = "");

  /// The same for a node with `count` outputs.
  std::vector<std::string> nodes(const std::string& type, const std::vector<std::string>& inputs,
                                 const std::vector<OnnxAttribute>& attributes, int count);

  /// Adds a constant of float32, float64, int64, int32 or uint8. Throws Error for other types.
  std::string constant(const Tensor& tensor, const std::string& name = "");
  /// Adds the constant whose one value has no extents.
  std::string scalar(float value);
  std::string scalar(int64_t value);
  /// Adds the int64 vector.
  std::string integers(const std::vector<int64_t>& values);

  /// Adds the nodes of a branch and returns its outputs.
  using Branch = std::function<std::vector<std::string>(OnnxGraph& graph)>;
  /// Appends an If of a boolean value with one element. Both branches give values of the types
  /// `outputs`; returns their names, beginning with those in `outputs`.
  std::vector<std::string> choose(const std::string& condition, const Branch& then,
                                  const Branch& otherwise, const std::vector<OnnxValue>& outputs);

 private:
  onnx::NodeProto& append(const std::string& type, const std::vector<std::string>& inputs,
                          const std::string& name);
  std::string unique(const std::string& wanted);

  onnx::GraphProto& graph_;
  OnnxContext& context_;
};

}  // namespace hardmoe
