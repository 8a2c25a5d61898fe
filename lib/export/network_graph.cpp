#include "export/network_graph.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "engine/network_facts.h"
#include "engine/ops/experts.h"
#include "engine/ops/operators.h"
#include "export/gate_graph.h"

namespace hardmoe {
namespace {

/// Writes one operator after another.
class NetworkWriter {
 public:
  NetworkWriter(OnnxGraph& graph, const StateDict& weights, std::string prefix)
      : graph_(graph), weights_(weights), prefix_(std::move(prefix)) {}

  /// `type`: of the first input. `expert`: whose it is, of an operator on routed rows.
  std::string write(const Op& op, const std::vector<std::string>& inputs, const ValueType& type,
                    std::optional<int64_t> expert = {}) {
    if (is_of_gates(op)) return gate(op, inputs[0], type);
    std::vector<std::string> reads = inputs;
    for (const std::string& parameter : parameters(op, type, expert)) reads.push_back(parameter);
    const std::string name = op.name.empty() ? "" : prefix_ + "." + op.name;
    if (op.type == "expert_conv") return graph_.node("Conv", reads, window(op), name);
    if (op.type == "expert_linear") return linear_of_tokens(reads, name);
    if (op.type == "expert_norm") {
      return graph_.node("BatchNormalization", reads, {{"epsilon", batch_norm_epsilon}}, name);
    }
    const bool of_tokens = type.rows.kind == RowKind::token;
    if (op.type == "conv") return graph_.node("Conv", reads, window(op), name);
    if (op.type == "max_pool") return graph_.node("MaxPool", reads, window(op), name);
    if (op.type == "relu") return graph_.node("Relu", reads, {}, prefix_ + ".relu");
    if (op.type == "add") return graph_.node("Add", reads, {}, name);
    if (op.type == "linear" && of_tokens) return linear_of_tokens(reads, name);
    if (op.type == "linear") return graph_.node("Gemm", reads, {{"transB", int64_t{1}}}, name);
    if (op.type == "batch_norm") {
      return graph_.node("BatchNormalization", reads, {{"epsilon", batch_norm_epsilon}}, name);
    }
    if (op.type == "global_avg_pool" && !of_tokens) {
      const std::string pooled = graph_.node("GlobalAveragePool", reads, {}, name);
      return graph_.node("Flatten", {pooled}, {{"axis", int64_t{1}}}, prefix_ + ".feature");
    }
    if (op.type == "bias") return bias(reads, type, name);
    if (op.type == "gelu") return gelu(reads[0], name);
    if (op.type == "tokens") return tokens(reads[0], type.extent, name);
    if (op.type == "layer_norm" && type.extent.positions() == 1) {
      const auto epsilon = static_cast<float>(Attributes(op).number("epsilon", 1e-5));
      return graph_.node("LayerNormalization", reads, {{"epsilon", epsilon}}, name);
    }
    if (op.type == "attention") return attention(op, reads[0], type.extent.channels / 3, name);
    if (op.type == "class_token") return class_token(reads, type.extent.channels, name);
    if (op.type == "positions") return positions(op, reads, type, name);
    if (op.type == "token_pool") return token_pool(op, reads[0], name);
    fail("{}: the operator '{}' of type {} cannot be written as ONNX", prefix_, op.name, op.type);
  }

 private:
  static bool is_of_gates(const Op& op) {
    constexpr std::string_view types[] = {"softmax", "noise", "scaled_noise", "top_k", "capacity"};
    return std::ranges::find(types, op.type) != std::end(types);
  }

  /// `type`: of the values, one for each expert.
  std::string gate(const Op& op, const std::string& values, const ValueType& type) {
    const std::string name = prefix_ + "." + op.name;
    Attributes attributes(op);
    if (op.type == "softmax")
      return graph_.node("Softmax", {values}, {{"axis", int64_t{-1}}}, name);
    if (op.type == "top_k") return write_top_k(graph_, TopK::from(attributes), values, name);
    if (op.type == "capacity") {
      return write_capacity(graph_, Capacity::from(attributes), values, type.planned_rows(1),
                            type.extent.channels, name);
    }
    return values;  // noise there is in training alone
  }

  /// The operator's parameters as constants; of one expert if one is given.
  std::vector<std::string> parameters(const Op& op, const ValueType& type,
                                      std::optional<int64_t> expert) {
    const std::vector<ValueType> inputs(op.inputs.size(), type);
    const auto specs = std::visit([&](const auto& one) { return one.parameters(op.name, inputs); },
                                  make_operator(op));
    std::vector<std::string> names;
    const std::string own = expert ? expert_name(op.name, *expert) + "." : "";
    for (const ParameterSpec& spec : specs) {
      if (!spec.name.starts_with(own)) continue;
      const Tensor& weight = require_tensor(weights_, spec.name, prefix_, &spec.shape);
      names.push_back(graph_.constant(weight, prefix_ + "." + spec.name));
    }
    return names;
  }

  static std::vector<OnnxAttribute> window(const Op& op) {
    Attributes attributes(op);
    const int64_t kernel = attributes.size("kernel"), stride = attributes.size("stride"),
                  padding = attributes.size("padding");
    return {{"kernel_shape", std::vector{kernel, kernel}},
            {"strides", std::vector{stride, stride}},
            {"pads", std::vector{padding, padding, padding, padding}}};
  }

  std::string transposed(const std::string& value, const std::vector<int64_t>& axes) {
    return graph_.node("Transpose", {value}, {{"perm", axes}});
  }
  std::string reshaped(const std::string& value, const std::vector<int64_t>& extents,
                       const std::string& name = "") {  // 0: as it is
    return graph_.node("Reshape", {value, graph_.integers(extents)}, {}, name);
  }

  /// reads: N×T×C, weights, perhaps a bias.
  std::string linear_of_tokens(const std::vector<std::string>& reads, const std::string& name) {
    const std::string weights = transposed(reads[1], {1, 0});
    if (reads.size() == 2) return graph_.node("MatMul", {reads[0], weights}, {}, name);
    const std::string product = graph_.node("MatMul", {reads[0], weights});
    return graph_.node("Add", {product, reads[2]}, {}, name);
  }

  /// Channels are the second extent of maps, else the last.
  std::string bias(const std::vector<std::string>& reads, const ValueType& type,
                   const std::string& name) {
    const bool map = type.rows.kind == RowKind::image && type.extent.positions() > 1;
    const std::string values = map ? reshaped(reads[1], {type.extent.channels, 1, 1}) : reads[1];
    return graph_.node("Add", {reads[0], values}, {}, name);
  }

  /// x·(1 + erf(x/√2))/2: opset 18 has no node for it.
  std::string gelu(const std::string& x, const std::string& name) {
    const std::string scaled = graph_.node("Mul", {x, graph_.scalar(0.707106781F)});
    const std::string erf = graph_.node("Erf", {scaled});
    const std::string doubled = graph_.node("Add", {erf, graph_.scalar(1.0F)});
    const std::string cumulative = graph_.node("Mul", {doubled, graph_.scalar(0.5F)});
    return graph_.node("Mul", {x, cumulative}, {}, name);
  }

  /// N×C×H×W to N×T×C.
  std::string tokens(const std::string& map, const Extent& extent, const std::string& name) {
    const std::string rows = reshaped(map, {0, extent.channels, extent.positions()});
    return graph_.node("Transpose", {rows}, {{"perm", std::vector<int64_t>{0, 2, 1}}}, name);
  }

  /// N×T×3D to N×T×D; in between N×heads×T×d.
  std::string attention(const Op& op, const std::string& qkv, int64_t channels,
                        const std::string& name) {
    const int64_t heads = Attributes(op).size("heads"), width = channels / heads;
    const std::string parts = transposed(reshaped(qkv, {0, 0, 3, heads, width}), {2, 0, 3, 1, 4});
    const auto part = [&](int64_t number) {
      return graph_.node("Gather", {parts, graph_.scalar(number)}, {{"axis", int64_t{0}}});
    };
    const std::string keys = transposed(part(1), {0, 1, 3, 2});
    const std::string products = graph_.node("MatMul", {part(0), keys});
    const float scale = 1 / std::sqrt(static_cast<float>(width));
    const std::string scores = graph_.node("Mul", {products, graph_.scalar(scale)});
    const std::string weights = graph_.node("Softmax", {scores}, {{"axis", int64_t{-1}}});
    const std::string sums = graph_.node("MatMul", {weights, part(2)});
    return reshaped(transposed(sums, {0, 2, 1, 3}), {0, 0, channels}, name);
  }

  /// reads: N×T×D, the token 1×1×D, which is repeated for each image.
  std::string class_token(const std::vector<std::string>& reads, int64_t channels,
                          const std::string& name) {
    const std::string images =
        graph_.node("Shape", {reads[0]}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
    const std::string extents =
        graph_.node("Concat", {images, graph_.integers({1, channels})}, {{"axis", int64_t{0}}});
    const std::string repeated = graph_.node("Expand", {reads[1], extents});
    return graph_.node("Concat", {repeated, reads[0]}, {{"axis", int64_t{1}}}, name);
  }

  std::string positions(const Op& op, std::vector<std::string> reads, const ValueType& type,
                        const std::string& name) {
    if (reads.size() == 1) {
      Attributes attributes(op);
      const int64_t channels = type.extent.channels;
      const auto table = sincos_table(Positions::from(attributes), channels);
      reads.push_back(
          graph_.constant(Tensor::from(table, {1, type.planned_rows(1), channels}), name));
    }
    return graph_.node("Add", reads, {}, name);
  }

  /// N×T×D to N×D.
  std::string token_pool(const Op& op, const std::string& tokens, const std::string& name) {
    if (Attributes(op).integer("first") != 0) {
      return graph_.node("Gather", {tokens, graph_.scalar(int64_t{0})}, {{"axis", int64_t{1}}},
                         name);
    }
    return graph_.node("ReduceMean", {tokens, graph_.integers({1})}, {{"keepdims", int64_t{0}}},
                       name);
  }

  OnnxGraph& graph_;
  const StateDict& weights_;
  std::string prefix_;
};

/// Returns the values that an operator's node reads: of noise none is left, and as every expert has
/// all rows there is no routing.
std::vector<int> read_by_answers(const Op& op) {
  if (op.type == "combine") return {op.inputs[0], op.inputs[1]};
  const bool first =
      op.type == "scaled_noise" || op.type == "dispatch" || op.type.starts_with("expert_");
  return first ? std::vector<int>{op.inputs[0]} : op.inputs;
}

/// Returns by value whether feature or logits depend on it.
std::vector<bool> needed_values(const Network& network) {
  std::vector<bool> needed(static_cast<size_t>(network.value_count()), false);
  for (const int value : {network.feature, network.logits}) {
    if (value >= 0) needed[static_cast<size_t>(value)] = true;
  }
  for (size_t i = network.ops.size(); i > 0; --i) {
    if (!needed[i]) continue;
    for (const int value : read_by_answers(network.ops[i - 1])) {
      needed[static_cast<size_t>(value)] = true;
    }
  }
  return needed;
}

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
  const std::vector<ValueType> types = value_types(network);
  const std::vector<bool> needed = needed_values(network);
  // Of routed rows a name for each expert, all of which have all rows.
  std::vector<std::vector<std::string>> values = {{input}};
  const auto names = [&](int value) { return values.at(static_cast<size_t>(value)); };
  for (const Op& op : network.ops) {
    const ValueType& type = types.at(static_cast<size_t>(op.inputs.at(0)));
    if (!needed[values.size()]) {
      values.emplace_back();
    } else if (op.type == "dispatch") {
      const auto experts = static_cast<size_t>(Attributes(op).size("experts"));
      values.emplace_back(experts, names(op.inputs[0]).at(0));
    } else if (op.type == "combine") {
      const bool maps = type.extent.positions() > 1;
      values.push_back({write_combined(graph, names(op.inputs[0]), names(op.inputs[1]).at(0),
                                       maps ? 3 : 1, prefix + "." + op.name)});
    } else {
      const size_t experts = names(op.inputs[0]).size();
      std::vector<std::string> made;
      for (size_t expert = 0; expert < experts; ++expert) {
        std::vector<std::string> inputs;
        for (const int value : read_by_answers(op)) inputs.push_back(names(value).at(expert));
        const bool routed = type.rows.kind == RowKind::routed;
        made.push_back(writer.write(
            op, inputs, type, routed ? std::optional(static_cast<int64_t>(expert)) : std::nullopt));
      }
      values.push_back(made);
    }
  }
  const auto value = [&](int number) { return number < 0 ? std::string() : names(number).at(0); };
  return {value(network.feature), value(network.logits)};
}

}  // namespace hardmoe
