#include "engine/graph.h"

#include <algorithm>
#include <set>
#include <type_traits>

#include "base/error.h"
#include "base/text.h"
#include "engine/fold_norms.h"
#include "engine/network_facts.h"
#include "engine/ops/gate_values.h"

namespace hardmoe {
namespace {

size_t index(int number) { return static_cast<size_t>(number); }

/// Appends operators as nodes; a batch norm, also one of experts, absorbs the add or the ReLU that is the only reader of
/// its present output.
class Fusion {
 public:
  explicit Fusion(const Network& network)
      : uses_(index(network.value_count()), 0), producer_(index(network.value_count()), -1) {
    for (const Op& op : network.ops) {
      for (const int input : op.inputs) ++uses_[index(input)];
    }
    // Results are read from outside.
    for (const int value : {network.feature, network.logits}) {
      if (value >= 0) ++uses_[index(value)];
    }
    for (size_t i = 0; i < network.ops.size(); ++i) append(network.ops[i], static_cast<int>(i) + 1);
  }

  std::vector<Node> take() { return std::move(nodes_); }

 private:
  void append(const Op& op, int output) {
    Operator made = make_operator(op);
    const bool relu = std::holds_alternative<Relu>(made), add = std::holds_alternative<Add>(made);
    const int host = relu || add ? host_of(op.inputs[0], add) : -1;
    if (host < 0) {
      nodes_.push_back({std::move(made), op.name, op.inputs, output});
    } else {
      Node merged = nodes_[index(host)];
      merged.output = output;
      if (relu) set_relu(merged.op);
      if (add) merged.inputs.push_back(op.inputs[1]);
      // The residual may be made after the norm (a downsampling shortcut): move the norm behind it.
      nodes_.erase(nodes_.begin() + host);
      for (int& node : producer_) {
        if (node > host) --node;
      }
      nodes_.push_back(std::move(merged));
    }
    producer_[index(output)] = static_cast<int>(nodes_.size()) - 1;
  }

  /// The node of the norm that the reader of `value` can join; -1: none.
  int host_of(int value, bool with_residual) const {
    const int number = producer_[index(value)];
    if (number < 0 || uses_[index(value)] != 1) return -1;
    const Node& node = nodes_[index(number)];
    return std::visit(
        [&](const auto& op) {
          if constexpr (is_norm<decltype(op)>) {
            const bool full = op.relu || (with_residual && node.inputs.size() > op.reads);
            return full ? -1 : number;
          }
          return -1;
        },
        node.op);
  }

  template <class Op>
  static constexpr bool is_norm =
      std::is_same_v<std::decay_t<Op>, BatchNorm> || std::is_same_v<std::decay_t<Op>, ExpertNorm>;

  static void set_relu(Operator& norm) {
    std::visit(
        [](auto& op) {
          if constexpr (is_norm<decltype(op)>) op.relu = true;
        },
        norm);
  }

  std::vector<int> uses_;      ///< by value: its readers
  std::vector<int> producer_;  ///< by value: the node that makes it
  std::vector<Node> nodes_;
};

bool matches(std::string_view name, std::string_view pattern) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return name == pattern;
  if (!name.starts_with(pattern.substr(0, star))) return false;
  const std::string_view rest = pattern.substr(star + 1);
  for (size_t from = star; from <= name.size(); ++from) {
    if (matches(name.substr(from), rest)) return true;
  }
  return false;
}

/// `key`: the setting that has the patterns.
void require_patterns_match(const Network& network, const std::vector<std::string>& patterns,
                            const char* key) {
  const auto specs = parameters_of(network);
  if (specs.empty() && !patterns.empty()) fail_usage("{}: the network has no parameters", key);
  for (const std::string& pattern : patterns) {
    const bool found = std::any_of(specs.begin(), specs.end(), [&](const ParameterSpec& spec) {
      return spec.learned && matches(spec.name, pattern);
    });
    if (!found) {
      fail_usage(
          "{}: no parameter of the network is named '{}'; they are named '{}' to '{}', and * "
          "stands for any characters",
          key, pattern, specs.front().name, specs.back().name);
    }
  }
}

/// Weights, checkpoints and gradients go by name.
void require_own_names(const Network& network) {
  std::set<std::string> names;
  for (const ParameterSpec& spec : parameters_of(network)) {
    if (!names.insert(spec.name).second) fail("two parameters are named '{}'", spec.name);
  }
}

/// What is trained, and which values it is a part of.
void find_trained(Graph& graph, const CompileOptions& options) {
  for (const Node& node : graph.nodes) {
    const auto specs = graph.parameters(node);
    const bool own = std::any_of(specs.begin(), specs.end(), [&](const ParameterSpec& spec) {
      return pace_of(spec, options) != Pace::none;
    });
    graph.trained_nodes.push_back(own);
    if (node.output < 0) continue;
    graph.trained_values[index(node.output)] =
        own || std::any_of(node.inputs.begin(), node.inputs.end(),
                           [&](int input) { return graph.trained_values[index(input)]; });
  }
}

/// Features and maps, a row an image; logits also as float32.
void require_readable_results(const Graph& graph) {
  for (const int value : {graph.feature(), graph.network.logits}) {
    if (value < 0) continue;
    const ValueType& type = graph.type(value);
    const bool map = value == graph.feature() && type.element == Element::working;
    if ((type.element != Element::float32 && !map) || type.rows.kind != RowKind::image) {
      fail("value {} of the network is no vector of float32 of an image, as results are", value);
    }
  }
}

/// Throws unless the value holds a score for each of an image's tags.
void require_scores(const Graph& graph, const LossSpec& spec, int value) {
  if (value >= graph.network.value_count()) {
    fail("loss '{}' reads value {}, which the network does not have", spec.name, value);
  }
  const ValueType& type = graph.type(value);
  const bool scores = type.element == Element::float32 && type.rows.kind == RowKind::image;
  if (!scores || type.extent.elements() != logits_size(graph.network)) {
    fail("loss '{}': value {} does not hold a score for each of the {} tags of an image", spec.name,
         value, logits_size(graph.network));
  }
}

/// Throws unless the value holds a gate's values.
void require_gates(const Graph& graph, const LossSpec& spec, int value) {
  if (value < 0 || value >= graph.network.value_count()) {
    fail("loss '{}' reads value {}, which the network does not have", spec.name, value);
  }
  if (!is_gate(graph.type(value))) {
    fail("loss '{}': value {} is no gate, a float32 vector for each image or token", spec.name,
         value);
  }
}

Node loss_of_gates(const Graph& graph, const LossSpec& spec, int number) {
  if (graph.network.logits < 0) fail("a network without logits cannot be trained");
  require_gates(graph, spec, spec.value);
  if (spec.kind != LossKind::load) {
    if (spec.ddof != 0 && spec.ddof != 1) {
      fail("loss '{}': ddof is {}, expected 0 or 1", spec.name, spec.ddof);
    }
    return {BalanceLoss{spec, number}, spec.name, {spec.value}, -1};
  }
  std::vector<int> inputs = {spec.value, spec.noisy};
  if (spec.sigma >= 0) inputs.push_back(spec.sigma);
  for (const int value : inputs) {
    require_gates(graph, spec, value);
    if (graph.type(value) != graph.type(spec.value)) {
      fail("loss '{}': values {} and {} have different shapes", spec.name, spec.value, value);
    }
  }
  const int64_t experts = graph.type(spec.value).extent.channels;
  if (spec.k < 1 || spec.k > experts) {
    fail("loss '{}': k is {}, expected 1 to {}, the number of experts", spec.name, spec.k, experts);
  }
  if (spec.sigma < 0 && !(spec.deviation > 0)) {
    fail("loss '{}': the deviation of the noise is {}, expected more than 0", spec.name,
         spec.deviation);
  }
  return {LoadLoss{spec, number}, spec.name, inputs, -1};
}

void append_losses(Graph& graph, const std::vector<LossSpec>& losses) {
  for (size_t i = 0; i < losses.size(); ++i) {
    const LossSpec& spec = losses[i];
    const int number = static_cast<int>(i);
    if (is_of_gates(spec.kind)) {
      graph.nodes.push_back(loss_of_gates(graph, spec, number));
      continue;
    }
    const int value = spec.value < 0 ? graph.network.logits : spec.value;
    if (value < 0) fail("a network without logits cannot be trained");
    require_scores(graph, spec, value);
    if (spec.teacher < 0) {
      graph.nodes.push_back({TagLoss{spec, number}, spec.name, {value}, -1});
    } else {
      require_scores(graph, spec, spec.teacher);
      graph.nodes.push_back({TeacherLoss{spec, number}, spec.name, {value, spec.teacher}, -1});
    }
  }
}

}  // namespace

std::vector<ValueType> Graph::input_types(const Node& node) const {
  std::vector<ValueType> result;
  for (const int input : node.inputs) result.push_back(type(input));
  return result;
}

std::vector<ParameterSpec> Graph::parameters(const Node& node) const {
  const auto inputs = input_types(node);
  return std::visit([&](const auto& op) { return op.parameters(node.name, inputs); }, node.op);
}

bool matches_any(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return matches(name, pattern); });
}

Pace pace_of(const ParameterSpec& parameter, const CompileOptions& options) {
  if (options.mode == Mode::infer || !parameter.learned) return Pace::none;
  if (matches_any(parameter.name, options.frozen)) return Pace::none;
  return matches_any(parameter.name, options.slow) ? Pace::slow : Pace::full;
}

Graph make_graph(const Network& network, const CompileOptions& options, bool folds) {
  if (options.batch < 1) fail_usage("batch: expected at least 1, found {}", options.batch);
  Graph graph;
  graph.network = network;
  graph.types = value_types(network);
  require_own_names(network);
  graph.nodes = Fusion(network).take();
  const size_t values = graph.types.size();
  graph.readers.resize(values);
  graph.trained_values.resize(values, false);
  const bool training = options.mode == Mode::train;
  if (training) {
    if (options.losses.empty()) fail("a program without losses cannot be trained");
    require_patterns_match(network, options.frozen, "freeze");
    require_patterns_match(network, options.slow, "slow");
    append_losses(graph, options.losses);
    find_trained(graph, options);
    const auto any = [](const std::vector<bool>& flags) {
      return std::find(flags.begin(), flags.end(), true) != flags.end();
    };
    if (!any(graph.trained_nodes)) fail_usage("freeze: nothing is left to train");
  } else {
    if (folds) fold_norms(graph);
    graph.trained_nodes.resize(graph.nodes.size(), false);
    require_readable_results(graph);
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const int input : graph.nodes[i].inputs) {
      graph.readers[index(input)].push_back(static_cast<int>(i));
    }
  }
  return graph;
}

}  // namespace hardmoe
