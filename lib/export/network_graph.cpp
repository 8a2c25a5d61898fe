#include "export/network_graph.h"

#include "base/error.h"
#include "engine/network_facts.h"
#include "engine/ops/batch_norm.h"

namespace hardmoe {
namespace {

/// Writes one operator after another.
class NetworkWriter {
 public:
  NetworkWriter(OnnxGraph& graph, const StateDict& weights, std::string prefix)
      : graph_(graph), weights_(weights), prefix_(std::move(prefix)) {}

  std::string write(const Op& op, const std::vector<std::string>& inputs,
                    const std::vector<ParameterSpec>& parameters) {
    std::vector<std::string> reads = inputs;
    for (const ParameterSpec& parameter : parameters) {
      if (parameter.name.substr(0, parameter.name.rfind('.')) != op.name) continue;
      const Tensor& weight = require_tensor(weights_, parameter.name, prefix_, &parameter.shape);
      reads.push_back(graph_.constant(weight, prefix_ + "." + parameter.name));
    }
    const std::string name = op.name.empty() ? "" : prefix_ + "." + op.name;
    if (op.type == "conv") return graph_.node("Conv", reads, window(op), name);
    if (op.type == "max_pool") return graph_.node("MaxPool", reads, window(op), name);
    if (op.type == "relu") return graph_.node("Relu", reads, {}, prefix_ + ".relu");
    if (op.type == "add") return graph_.node("Add", reads, {}, name);
    if (op.type == "linear") return graph_.node("Gemm", reads, {{"transB", int64_t{1}}}, name);
    if (op.type == "batch_norm") {
      return graph_.node("BatchNormalization", reads, {{"epsilon", batch_norm_epsilon}}, name);
    }
    if (op.type == "global_avg_pool") {
      const std::string pooled = graph_.node("GlobalAveragePool", reads, {}, name);
      return graph_.node("Flatten", {pooled}, {{"axis", int64_t{1}}}, prefix_ + ".feature");
    }
    fail("{}: the operator '{}' of type {} cannot be written as ONNX", prefix_, op.name, op.type);
  }

 private:
  static std::vector<OnnxAttribute> window(const Op& op) {
    Attributes attributes(op);
    const int64_t kernel = attributes.size("kernel"), stride = attributes.size("stride"),
                  padding = attributes.size("padding");
    return {{"kernel_shape", std::vector{kernel, kernel}},
            {"strides", std::vector{stride, stride}},
            {"pads", std::vector{padding, padding, padding, padding}}};
  }

  OnnxGraph& graph_;
  const StateDict& weights_;
  std::string prefix_;
};

}  // namespace

std::string write_normalised(OnnxGraph& graph, const Network& network, const std::string& images) {
  const auto of_colours = [&](const float(&values)[3], const char* name) {
    std::vector<float> scaled;
    for (const float value : values) scaled.push_back(value / 255);
    return graph.constant(Tensor::from(scaled, {1, 3, 1, 1}), name);
  };
  const std::string less = graph.node("Sub", {images, of_colours(network.mean, "mean")});
  return graph.node("Div", {less, of_colours(network.deviation, "deviation")}, {}, "normalised");
}

NetworkValues write_network(OnnxGraph& graph, const Network& network, const StateDict& weights,
                            const std::string& prefix, const std::string& input) {
  NetworkWriter writer(graph, weights, prefix);
  const std::vector<ParameterSpec> parameters = parameters_of(network);
  std::vector<std::string> values = {input};
  for (const Op& op : network.ops) {
    std::vector<std::string> inputs;
    for (const int value : op.inputs) inputs.push_back(values.at(static_cast<size_t>(value)));
    values.push_back(writer.write(op, inputs, parameters));
  }
  const auto value = [&](int number) {
    return number < 0 ? std::string() : values.at(static_cast<size_t>(number));
  };
  return {value(network.feature), value(network.logits)};
}

}  // namespace hardmoe
