#include "export/onnx_graph.h"

#include <onnx.pb.h>

#include "base/error.h"

namespace hardmoe {
namespace {

int32_t type_of(OnnxElement element) {
  switch (element) {
    case OnnxElement::f32:
      return onnx::TensorProto::FLOAT;
    case OnnxElement::i64:
      return onnx::TensorProto::INT64;
    case OnnxElement::u8:
      return onnx::TensorProto::UINT8;
  }
  return onnx::TensorProto::UNDEFINED;
}

int32_t type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return onnx::TensorProto::FLOAT;
    case DType::f64:
      return onnx::TensorProto::DOUBLE;
    case DType::i64:
      return onnx::TensorProto::INT64;
    case DType::i32:
      return onnx::TensorProto::INT32;
    case DType::u8:
      return onnx::TensorProto::UINT8;
    default:
      fail("a constant of an ONNX graph is {}, expected float32, float64, int64, int32 or uint8",
           name_of(dtype));
  }
}

void set_value(const OnnxValue& value, const std::string& name, onnx::ValueInfoProto& to) {
  to.set_name(name);
  auto& type = *to.mutable_type()->mutable_tensor_type();
  type.set_elem_type(type_of(value.element));
  auto& shape = *type.mutable_shape();
  for (const OnnxExtent& extent : value.extents) {
    auto& dimension = *shape.add_dim();
    if (const auto* number = std::get_if<int64_t>(&extent)) {
      dimension.set_dim_value(*number);
    } else {
      dimension.set_dim_param(std::get<std::string>(extent));
    }
  }
}

void set_attribute(const OnnxAttribute& attribute, onnx::AttributeProto& to) {
  to.set_name(attribute.first);
  if (const auto* integer = std::get_if<int64_t>(&attribute.second)) {
    to.set_type(onnx::AttributeProto::INT);
    to.set_i(*integer);
  } else if (const auto* number = std::get_if<float>(&attribute.second)) {
    to.set_type(onnx::AttributeProto::FLOAT);
    to.set_f(*number);
  } else if (const auto* text = std::get_if<std::string>(&attribute.second)) {
    to.set_type(onnx::AttributeProto::STRING);
    to.set_s(*text);
  } else {
    to.set_type(onnx::AttributeProto::INTS);
    for (const int64_t value : std::get<std::vector<int64_t>>(attribute.second)) to.add_ints(value);
  }
}

}  // namespace

std::string OnnxGraph::unique(const std::string& wanted) {
  std::string name = wanted;
  for (int count = 2; !context_.names.insert(name).second; ++count) {
    name = fmt::format("{}_{}", wanted, count);
  }
  return name;
}

std::string OnnxGraph::input(const OnnxValue& value) {
  const std::string name = unique(value.name);
  set_value(value, name, *graph_.add_input());
  return name;
}

void OnnxGraph::output(const std::string& value, const OnnxValue& output) {
  const std::string name = node("Identity", {value}, {}, output.name);
  set_value(output, name, *graph_.add_output());
}

onnx::NodeProto& OnnxGraph::append(const std::string& type, const std::vector<std::string>& inputs,
                                   const std::string& name) {
  onnx::NodeProto& node = *graph_.add_node();
  node.set_op_type(type);
  node.set_name(unique(name.empty() ? type : name));
  for (const std::string& input : inputs) node.add_input(input);
  return node;
}

std::string OnnxGraph::node(const std::string& type, const std::vector<std::string>& inputs,
                            const std::vector<OnnxAttribute>& attributes, const std::string& name) {
  onnx::NodeProto& node = append(type, inputs, name);
  node.add_output(node.name());
  for (const OnnxAttribute& attribute : attributes) set_attribute(attribute, *node.add_attribute());
  return node.name();
}

std::vector<std::string> OnnxGraph::nodes(const std::string& type,
                                          const std::vector<std::string>& inputs,
                                          const std::vector<OnnxAttribute>& attributes, int count) {
  onnx::NodeProto& node = append(type, inputs, "");
  std::vector<std::string> outputs;
  for (int i = 0; i < count; ++i) {
    outputs.push_back(unique(fmt::format("{}.{}", node.name(), i)));
    node.add_output(outputs.back());
  }
  for (const OnnxAttribute& attribute : attributes) set_attribute(attribute, *node.add_attribute());
  return outputs;
}

std::string OnnxGraph::constant(const Tensor& tensor, const std::string& name) {
  onnx::TensorProto& to = *graph_.add_initializer();
  to.set_name(unique(name.empty() ? "constant" : name));
  to.set_data_type(type_of(tensor.dtype()));
  for (const int64_t extent : tensor.shape()) to.add_dims(extent);
  context_.storage.store(tensor, to);
  return to.name();
}

std::string OnnxGraph::scalar(float value) {
  return constant(Tensor::from(std::vector<float>{value}, {}));
}

std::string OnnxGraph::scalar(int64_t value) {
  return constant(Tensor::from(std::vector<int64_t>{value}, {}));
}

std::string OnnxGraph::integers(const std::vector<int64_t>& values) {
  return constant(Tensor::from(values, {std::ssize(values)}));
}

std::vector<std::string> OnnxGraph::choose(const std::string& condition, const Branch& then,
                                           const Branch& otherwise,
                                           const std::vector<OnnxValue>& outputs) {
  onnx::NodeProto& node = append("If", {condition}, "");
  std::vector<std::string> names;
  for (const OnnxValue& value : outputs) {
    names.push_back(unique(value.name));
    node.add_output(names.back());
  }
  const auto add = [&](const char* name, const Branch& branch) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::GRAPH);
    attribute.mutable_g()->set_name(fmt::format("{}_{}", node.name(), name));
    OnnxGraph graph(*attribute.mutable_g(), context_);
    const auto given = branch(graph);
    for (size_t i = 0; i < outputs.size(); ++i) {
      set_value(outputs[i], given.at(i), *attribute.mutable_g()->add_output());
    }
  };
  add("then_branch", then);
  add("else_branch", otherwise);
  return names;
}

}  // namespace hardmoe
