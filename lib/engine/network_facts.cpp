#include "engine/network_facts.h"

#include <algorithm>

#include "base/error.h"
#include "base/random.h"
#include "engine/graph.h"

namespace hardmoe {
namespace {

std::vector<ValueType> types_of(const Op& op, const std::vector<ValueType>& types) {
  std::vector<ValueType> inputs;
  for (const int input : op.inputs) {
    if (input < 0 || static_cast<size_t>(input) >= types.size()) {
      fail("operator '{}' of type {} reads value {}, which is not made before it", op.name, op.type,
           input);
    }
    inputs.push_back(types[static_cast<size_t>(input)]);
  }
  return inputs;
}

/// Calls visit(operator, its name, its inputs' types) in order.
template <class Visit>
void for_each_operator(const Network& network, const Visit& visit) {
  const auto types = value_types(network);
  for (const Op& op : network.ops) {
    const auto inputs = types_of(op, types);
    std::visit([&](const auto& one) { visit(one, op.name, InputTypes(inputs)); },
               make_operator(op));
  }
}

int64_t size_of(const Network& network, int value) {
  return value_types(network).at(static_cast<size_t>(value)).extent.elements();
}

}  // namespace

std::vector<ValueType> value_types(const Network& network) {
  const bool feature = network.input == InputKind::feature;
  std::vector<ValueType> types = {
      {network.extent, feature ? Element::float32 : Element::working, {}}};
  for (const Op& op : network.ops) {
    const size_t wanted = std::visit([](const auto& one) { return one.reads; }, make_operator(op));
    if (op.inputs.size() != wanted) {
      fail("operator '{}' of type {} takes {} values, found {}", op.name, op.type, wanted,
           op.inputs.size());
    }
    const auto inputs = types_of(op, types);
    const ValueType output =
        std::visit([&](const auto& one) { return one.output(op.name, inputs); }, make_operator(op));
    if (output.extent.elements() <= 0) fail_usage("operator '{}': has no outputs", op.name);
    types.push_back(output);
  }
  for (const int value : {network.feature, network.logits}) {
    if (value >= network.value_count()) fail("the network has no value {}", value);
  }
  return types;
}

int64_t feature_size(const Network& network) { return size_of(network, network.feature); }

int64_t logits_size(const Network& network) {
  return network.logits < 0 ? 0 : size_of(network, network.logits);
}

std::vector<ParameterSpec> parameters_of(const Network& network) {
  std::vector<ParameterSpec> all;
  for_each_operator(network, [&](const auto& op, const std::string& name, InputTypes inputs) {
    for (ParameterSpec& spec : op.parameters(name, inputs)) all.push_back(std::move(spec));
  });
  return all;
}

int64_t parameter_count(const Network& network) {
  int64_t count = 0;
  for (const auto& parameter : parameters_of(network)) {
    if (parameter.learned) count += element_count(parameter.shape);
  }
  return count;
}

double flops_per_image(const Network& network) {
  double flops = 0;
  for_each_operator(network, [&](const auto& op, const std::string&, InputTypes inputs) {
    flops += op.flops(inputs);
  });
  return flops;
}

double training_flops_per_image(Network network, const std::vector<std::string>& frozen) {
  for (Op& op : network.ops) {  // a capacity's group is a whole batch, here a large one
    if (op.type == Capacity::type) op.attributes["group"] = 1e6;
  }
  const auto types = value_types(network);
  std::vector<bool> trained(types.size(), false);  // by value, as Graph::trained_values
  double flops = 0;
  for (size_t i = 0; i < network.ops.size(); ++i) {
    const Op& op = network.ops[i];
    const auto inputs = types_of(op, types);
    const auto count = [&](const auto& one) {
      const auto specs = one.parameters(op.name, inputs);
      const bool own = std::any_of(specs.begin(), specs.end(), [&](const ParameterSpec& spec) {
        return spec.learned && !matches_any(spec.name, frozen);
      });
      const bool below = std::any_of(op.inputs.begin(), op.inputs.end(), [&](int input) {
        return trained[static_cast<size_t>(input)];
      });
      constexpr int factors = requires { one.multiplies_inputs; }
      ? 2 : 1;  // that are inputs
      flops += (1 + (own ? 1 : 0) + (below ? factors : 0)) * one.flops(inputs);
      trained[i + 1] = own || below;
    };
    std::visit(count, make_operator(op));
  }
  return flops;
}

StateDict initial_weights(const Network& network, uint64_t seed) {
  StateDict weights;
  uint64_t stream = 0;
  for (const auto& [name, shape, initial, learned, begins_as] : parameters_of(network)) {
    Random random(seed, RandomUse::init, stream++);
    if (!begins_as.empty()) {
      weights.emplace(name, weights.at(begins_as).clone());
      continue;
    }
    Tensor tensor(DType::f32, shape);
    for (float& value : tensor.as<float>()) {
      switch (initial.kind) {
        case InitialValues::Kind::constant:
          value = initial.value;
          break;
        case InitialValues::Kind::normal:
          value = initial.value * random.normal();
          break;
        case InitialValues::Kind::uniform:
          value = initial.value * (2 * random.uniform() - 1);
          break;
      }
    }
    weights.emplace(name, std::move(tensor));
  }
  return weights;
}

}  // namespace hardmoe
