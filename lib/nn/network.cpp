#include "nn/network.h"

#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace hardmoe {
namespace {

int64_t window_count(int64_t extent, const Op& op) {
  const int64_t room = extent + 2 * op.padding - op.kernel;
  if (room < 0) {
    fail_usage(
        "operator '{}': a {}×{} window does not fit an input of {} pixels; use larger images "
        "or stem: small",
        op.name, op.kernel, op.kernel, extent);
  }
  return room / op.stride + 1;
}

}  // namespace

int Network::append(Op op, int64_t channels) {
  const Extent in = values.at(static_cast<size_t>(op.inputs.at(0)));
  Extent out = in;
  switch (op.kind) {
    case OpKind::conv:
    case OpKind::max_pool:
      out.height = window_count(in.height, op);
      out.width = window_count(in.width, op);
      if (op.kind == OpKind::conv) out.channels = channels;
      break;
    case OpKind::global_avg_pool:
      out = {1, 1, in.channels};
      break;
    case OpKind::linear:
      out = {1, 1, channels};
      break;
    case OpKind::add:
      if (values.at(static_cast<size_t>(op.inputs.at(1))) != in) {
        fail("operator '{}': adding activations of different shapes", op.name);
      }
      break;
    case OpKind::batch_norm:
    case OpKind::relu:
      break;
  }
  if (out.elements() <= 0) fail_usage("operator '{}': has no outputs", op.name);
  ops.push_back(std::move(op));
  values.push_back(out);
  return static_cast<int>(values.size()) - 1;
}

int64_t Network::logits_size() const {
  return logits < 0 ? 0 : values.at(static_cast<size_t>(logits)).elements();
}

std::vector<ParameterSpec> parameters_of(const Network& network) {
  std::vector<ParameterSpec> list;
  for (size_t i = 0; i < network.ops.size(); ++i) {
    const Op& op = network.ops[i];
    const Extent& in = network.values[static_cast<size_t>(op.inputs[0])];
    const Extent& out = network.values[i + 1];
    const auto add = [&](const char* suffix, Shape shape, ParameterKind kind) {
      list.push_back({op.name + suffix, std::move(shape), kind});
    };
    if (op.kind == OpKind::conv) {
      add(".weight", {out.channels, in.channels, op.kernel, op.kernel}, ParameterKind::conv_weight);
    } else if (op.kind == OpKind::linear) {
      add(".weight", {out.channels, in.elements()}, ParameterKind::linear_weight);
      add(".bias", {out.channels}, ParameterKind::bias);
    } else if (op.kind == OpKind::batch_norm) {
      add(".weight", {out.channels}, ParameterKind::norm_weight);
      add(".bias", {out.channels}, ParameterKind::norm_bias);
      add(".running_mean", {out.channels}, ParameterKind::running_mean);
      add(".running_var", {out.channels}, ParameterKind::running_var);
    }
  }
  return list;
}

int64_t parameter_count(const Network& network) {
  int64_t count = 0;
  for (const auto& parameter : parameters_of(network)) {
    if (parameter.learned()) count += element_count(parameter.shape);
  }
  return count;
}

double flops_per_image(const Network& network) {
  double flops = 0;
  for (size_t i = 0; i < network.ops.size(); ++i) {
    const Op& op = network.ops[i];
    const Extent& in = network.values[static_cast<size_t>(op.inputs[0])];
    const Extent& out = network.values[i + 1];
    if (op.kind == OpKind::conv) {
      flops += 2.0 * static_cast<double>(out.elements() * in.channels * op.kernel * op.kernel);
    } else if (op.kind == OpKind::linear) {
      flops += 2.0 * static_cast<double>(out.elements() * in.elements());
    }
  }
  return flops;
}

StateDict initial_weights(const Network& network, uint64_t seed) {
  StateDict weights;
  uint64_t stream = 0;
  float linear_bound = 0;
  for (const auto& [name, shape, kind] : parameters_of(network)) {
    Tensor tensor(DType::f32, shape);
    const auto values = tensor.as<float>();
    Random random(seed, RandomUse::init, stream++);
    switch (kind) {
      case ParameterKind::conv_weight: {
        const double fan_out = static_cast<double>(shape[0] * shape[2] * shape[3]);
        const float deviation = static_cast<float>(std::sqrt(2.0 / fan_out));
        for (float& value : values) value = deviation * random.normal();
        break;
      }
      case ParameterKind::linear_weight:
        linear_bound = 1 / std::sqrt(static_cast<float>(shape[1]));
        [[fallthrough]];
      case ParameterKind::bias:  // follows its weight, whose fan-in bounds it too
        for (float& value : values) value = linear_bound * (2 * random.uniform() - 1);
        break;
      case ParameterKind::norm_weight:
      case ParameterKind::running_var:
        for (float& value : values) value = 1;
        break;
      case ParameterKind::norm_bias:
      case ParameterKind::running_mean:
        break;
    }
    weights.emplace(name, std::move(tensor));
  }
  return weights;
}

}  // namespace hardmoe
