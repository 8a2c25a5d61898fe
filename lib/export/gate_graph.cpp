#include "export/gate_graph.h"

#include <numeric>

#include "base/error.h"

namespace hardmoe {
namespace {

/// The largest along the last axis, largest first.
struct Largest {
  std::string values, numbers;
};

Largest largest(OnnxGraph& graph, const std::string& values, int64_t count) {
  const auto found = graph.nodes("TopK", {values, graph.integers({count})},
                                 {{"axis", int64_t{-1}}, {"largest", int64_t{1}}}, 2);
  return {found[0], found[1]};
}

std::string zeros_like(OnnxGraph& graph, const std::string& values) {
  return graph.node("ConstantOfShape", {graph.node("Shape", {values})});
}

std::string reshaped(OnnxGraph& graph, const std::string& value,
                     const std::vector<int64_t>& extents) {
  return graph.node("Reshape", {value, graph.integers(extents)});
}

/// Returns the numbers of each image's tokens (N×T×E, alike for all experts), largest gate first.
std::string order_of(OnnxGraph& graph, const std::string& gates, int64_t tokens) {
  const std::string most =
      graph.node("ReduceMax", {gates, graph.integers({-1})}, {{"keepdims", int64_t{0}}});
  const std::string order = largest(graph, most, tokens).numbers;
  return graph.node("Expand", {graph.node("Unsqueeze", {order, graph.integers({-1})}),
                               graph.node("Shape", {gates})});
}

/// Returns 1 for each gate (N×T×E) that its expert has room for, by the order of tokens, else 0: first
/// choices of all tokens before second ones.
std::string kept(OnnxGraph& graph, const std::string& gates, int64_t k, int64_t capacity,
                 int64_t tokens, int64_t experts) {
  const Largest chosen = largest(graph, gates, k);
  const std::string choices =
      graph.node("OneHot", {chosen.numbers, graph.integers({experts}),
                            graph.constant(Tensor::from(std::vector<float>{0, 1}, {2}))});
  // A choice whose gate is 0 is none.
  const std::string is_gate = graph.node(
      "Cast", {graph.node("Greater", {chosen.values, graph.scalar(0.0F)})}, {{"to", int64_t{1}}});
  const std::string counted =
      graph.node("Mul", {choices, graph.node("Unsqueeze", {is_gate, graph.integers({-1})})});
  const std::string by_choice =
      graph.node("Transpose", {counted}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
  const std::string line = reshaped(graph, by_choice, {0, k * tokens, experts});
  const std::string place = graph.node("CumSum", {line, graph.scalar(int64_t{1})});
  const std::string has_room = graph.node(
      "Cast", {graph.node("LessOrEqual", {place, graph.scalar(static_cast<float>(capacity))})},
      {{"to", int64_t{1}}});
  const std::string taken = graph.node("Mul", {line, has_room});
  return graph.node("ReduceSum",
                    {reshaped(graph, taken, {0, k, tokens, experts}), graph.integers({1})},
                    {{"keepdims", int64_t{0}}});
}

}  // namespace

std::string write_top_k(OnnxGraph& graph, const TopK& op, const std::string& values,
                        const std::string& name) {
  const Largest chosen = largest(graph, values, op.k);
  const std::string gates =
      op.softmax ? graph.node("Softmax", {chosen.values}, {{"axis", int64_t{-1}}}) : chosen.values;
  return graph.node("ScatterElements", {zeros_like(graph, values), chosen.numbers, gates},
                    {{"axis", int64_t{-1}}}, name);
}

std::string write_capacity(OnnxGraph& graph, const Capacity& op, const std::string& gates,
                           int64_t tokens, int64_t experts, const std::string& name) {
  if (op.group != 1) fail("{}: a capacity of several images cannot be written as ONNX", name);
  const int64_t capacity = capacity_of(tokens, op.k, op.factor, static_cast<int>(experts));
  if (capacity >= tokens) return gates;
  if (!op.has_priority(/*training=*/false)) {
    return graph.node("Mul", {gates, kept(graph, gates, op.k, capacity, tokens, experts)}, {},
                      name);
  }
  const std::string order = order_of(graph, gates, tokens);
  const std::string sorted = graph.node("GatherElements", {gates, order}, {{"axis", int64_t{1}}});
  const std::string left =
      graph.node("Mul", {sorted, kept(graph, sorted, op.k, capacity, tokens, experts)});
  return graph.node("ScatterElements", {zeros_like(graph, gates), order, left},
                    {{"axis", int64_t{1}}}, name);
}

std::string write_combined(OnnxGraph& graph, const std::vector<std::string>& answers,
                           const std::string& gates, int behind, const std::string& name) {
  std::vector<int64_t> axes(static_cast<size_t>(behind));
  std::iota(axes.begin(), axes.end(), int64_t{-behind});
  std::vector<std::string> parts;
  for (size_t expert = 0; expert < answers.size(); ++expert) {
    const std::string gate = graph.node(
        "Gather", {gates, graph.scalar(static_cast<int64_t>(expert))}, {{"axis", int64_t{-1}}});
    parts.push_back(graph.node(
        "Mul", {answers[expert], graph.node("Unsqueeze", {gate, graph.integers(axes)})}));
  }
  return graph.node("Sum", parts, {}, name);
}

}  // namespace hardmoe
