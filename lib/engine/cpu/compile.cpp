// The compiling half of CpuProgram: parameters placed, steps planned forwards then backwards,
// memory laid out, primitives bound to it.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "engine/cpu/program.h"

namespace hardmoe::cpu {
namespace {

/// oneDNN 2's fp32 backward-weights of a strided 1×1 NHWC convolution with fewer than 8 input
/// channels overruns its buffers on the AVX2 path.
void refuse_known_fault(const Op& op, const Extent& in) {
  if (op.kernel == 1 && op.stride > 1 && in.channels < 8) {
    fail_usage(
        "layer '{}': strided 1×1 convolutions need at least 8 input channels, found {}; use "
        "model.width 8 or more",
        op.name, in.channels);
  }
}

}  // namespace

CpuProgram::CpuProgram(const Network& network, const CompileOptions& options)
    : network_(network),
      options_(options),
      lowered_(lower(network)),
      training_(options.mode == Mode::train) {
  if (options.batch < 1) fail_usage("batch: expected at least 1, found {}", options.batch);
  if (training_ && network.logits < 0) fail("a network without logits cannot be trained");
  place_parameters();

  value_buffers_.assign(network_.values.size(), -1);
  value_gradients_.resize(network_.values.size());
  linear_inputs_.assign(lowered_.nodes.size(), -1);
  pool_workspaces_.assign(lowered_.nodes.size(), -1);
  const bool image = network_.input == InputKind::image;
  value_buffers_[0] =
      new_buffer(image ? activation_bytes(0) : options_.batch * extent(0).elements() * 4);
  for (const Node& node : lowered_.nodes) plan_forward(node);
  if (training_) {
    plan_loss();
    for (size_t i = lowered_.nodes.size(); i-- > 0;) plan_backward(lowered_.nodes[i]);
  } else {  // results are read after the last step
    use(value_buffers_[index(network_.feature)]);
    if (network_.logits >= 0) use(value_buffers_[index(network_.logits)]);
  }
  finish_plan();
}

void CpuProgram::place_parameters() {
  layers_.resize(lowered_.nodes.size());
  norms_.resize(lowered_.nodes.size());
  pools_.resize(lowered_.nodes.size());
  const auto specs = parameters_of(network_);
  const auto spec_named = [&](const std::string& name) -> const ParameterSpec& {
    return *std::find_if(specs.begin(), specs.end(), [&](const auto& s) { return s.name == name; });
  };
  for (size_t i = 0; i < lowered_.nodes.size(); ++i) {
    const Node& node = lowered_.nodes[i];
    const Extent& in = extent(node.input);
    const Extent& out = extent(node.output);
    const std::string& name = node.op.name;
    if (node.kind == NodeKind::conv || node.kind == NodeKind::linear) {
      const auto needs = !training_        ? onednn::Needs::forward
                         : node.input == 0 ? onednn::Needs::weights_gradient
                                           : onednn::Needs::all_gradients;
      auto layer = std::make_unique<WeightedLayer>();
      if (node.kind == NodeKind::conv) {
        if (suits_dense_conv(node.op, in, out, options_.precision)) {
          layer->dense = dense_conv(node.op, in, out);
          layer->primitives = onednn::matrix_product(in.elements(), out.elements(), options_.batch,
                                                     options_.precision, needs);
        } else {
          refuse_known_fault(node.op, in);
          layer->primitives =
              onednn::convolution(node.op, in, out, options_.batch, options_.precision, needs);
        }
      } else {
        layer->primitives = onednn::inner_product(in.elements(), out.channels, options_.batch,
                                                  options_.precision, needs);
      }
      const ParameterSpec& spec = spec_named(name + ".weight");
      const onednn::Desc plain = onednn::plain_weight(spec.shape);
      const onednn::Desc& held = layer->dense ? layer->dense->weights
                                 : training_  ? layer->primitives.weights_gradient
                                              : plain;
      layer->weight = parameters_.add(spec, &held);
      if (node.kind == NodeKind::linear) {
        layer->bias = parameters_.add(spec_named(name + ".bias"), nullptr);
      }
      scratch_bytes_ = std::max(scratch_bytes_, layer->primitives.scratch_bytes);
      layers_[i] = std::move(layer);
    } else if (node.kind == NodeKind::norm) {
      auto norm = std::make_unique<Norm>();
      norm->gamma = parameters_.add(spec_named(name + ".weight"), nullptr);
      norm->beta = parameters_.add(spec_named(name + ".bias"), nullptr);
      const auto channels = static_cast<size_t>(out.channels);
      NormState& state = norm->state;
      for (auto* v : {&state.mean, &state.variance, &state.inverse, &state.scale, &state.shift}) {
        v->resize(channels);
      }
      state.workspace = norm_workspace(out.channels);
      norms_[i] = std::move(norm);
    } else if (node.kind == NodeKind::max_pool) {
      pools_[i] = onednn::max_pool(node.op, in, out, options_.batch, options_.precision, training_);
      scratch_bytes_ = std::max(scratch_bytes_, pools_[i].scratch_bytes);
    }
  }
  for (size_t i = 0; i < lowered_.nodes.size();
       ++i) {  // running statistics behind all learned ones
    if (norms_[i] == nullptr) continue;
    const std::string& name = lowered_.nodes[i].op.name;
    norms_[i]->running_mean = parameters_.add(spec_named(name + ".running_mean"), nullptr);
    norms_[i]->running_var = parameters_.add(spec_named(name + ".running_var"), nullptr);
  }

  const auto array = [&](bool wanted) {
    return Tensor(DType::f32, {wanted ? parameters_.length() : 0});
  };
  weights_ = array(true);
  gradients_ = array(training_);
  first_moment_ = array(training_);
  second_moment_ = array(training_ && options_.optimizer.kind == OptimizerKind::adamw);
  average_ = array(training_ && options_.optimizer.ema_decay > 0);

  for (auto& layer : layers_) {
    if (layer == nullptr) continue;
    layer->master = master(layer->weight);
    if (layer->dense) {
      const auto bytes = static_cast<int64_t>(layer->primitives.weights_forward.get_size());
      layer->forward_copy = Tensor(DType::u8, {bytes});
      continue;
    }
    const onednn::Desc& held = parameters_.slot(layer->weight).layout;
    const auto copy_unless_same = [&](const onednn::Desc& wanted, Tensor& copy) {
      if (wanted == held) return std::unique_ptr<onednn::Reorder>();
      copy = Tensor(DType::u8, {static_cast<int64_t>(wanted.get_size())});
      return std::make_unique<onednn::Reorder>(held, wanted);
    };
    layer->to_forward = copy_unless_same(layer->primitives.weights_forward, layer->forward_copy);
    if (layer->primitives.backward_data) {
      layer->to_backward =
          copy_unless_same(layer->primitives.weights_backward, layer->backward_copy);
    }
  }
}

// ---- forward ----

void CpuProgram::plan_forward(const Node& node) {
  const auto i = static_cast<size_t>(&node - lowered_.nodes.data());
  switch (node.kind) {
    case NodeKind::conv:
      plan_conv(node, *layers_[i]);
      break;
    case NodeKind::norm:
      plan_norm(node, *norms_[i]);
      break;
    case NodeKind::linear:
      plan_linear(node, *layers_[i]);
      break;
    case NodeKind::max_pool:
    case NodeKind::global_avg_pool:
      plan_pools(node);
      break;
  }
}

void CpuProgram::plan_conv(const Node& node, WeightedLayer& layer) {
  const BufferId x = use(value_buffers_[index(node.input)]);
  const BufferId y = value_buffers_[index(node.output)] = new_buffer(activation_bytes(node.output));
  plan("convolution forward", [this, x, y, &layer] {
    const auto& p = layer.primitives;
    return call(p.forward,
                {{DNNL_ARG_SRC, memory(p.source, x)},
                 {DNNL_ARG_WEIGHTS, onednn::wrap(p.weights_forward, layer.forward_weights())},
                 {DNNL_ARG_DST, memory(p.target, y)}});
  });
}

void CpuProgram::plan_norm(const Node& node, Norm& norm) {
  const BufferId x = use(value_buffers_[index(node.input)]);
  const BufferId residual = node.residual < 0 ? -1 : use(value_buffers_[index(node.residual)]);
  // In training x is needed again; in inference nobody else reads it, so y takes its place.
  const bool in_place = !training_ && lowered_.readers[index(node.input)].size() == 1;
  const BufferId y = in_place ? x : new_buffer(activation_bytes(node.output));
  value_buffers_[index(node.output)] = y;
  const int64_t channels = extent(node.output).channels;
  const int64_t rows = options_.batch * extent(node.output).elements() / channels;
  plan("norm forward", [=, this, &norm, relu = node.relu] {
    NormState& s = norm.state;
    float* running_mean = master(norm.running_mean);
    float* running_var = master(norm.running_var);
    const float* gamma = master(norm.gamma);
    const float* beta = master(norm.beta);
    const Activations in = activations(x);
    const Activations added = residual < 0 ? Activations{} : activations(residual);
    const Activations out = activations(y);
    return Work([=, this, &s] {
      const float* mean = running_mean;
      const float* variance = running_var;
      if (training_) {
        norm_statistics(in, rows, channels, s.mean.data(), s.variance.data(), s.workspace);
        mean = s.mean.data();
        variance = s.variance.data();
        const float unbias =
            static_cast<float>(rows) / static_cast<float>(std::max<int64_t>(rows - 1, 1));
        constexpr float pace = batch_norm_momentum;
        for (int64_t c = 0; c < channels; ++c) {
          running_mean[c] += pace * (mean[c] - running_mean[c]);
          running_var[c] += pace * (variance[c] * unbias - running_var[c]);
        }
      }
      for (size_t c = 0; c < s.scale.size(); ++c) {
        s.inverse[c] = 1 / std::sqrt(variance[c] + batch_norm_epsilon);
        s.scale[c] = gamma[c] * s.inverse[c];
        s.shift[c] = beta[c] - mean[c] * s.scale[c];
      }
      norm_apply(in, added, s.scale.data(), s.shift.data(), relu, rows, channels, out);
    });
  });
}

void CpuProgram::plan_pools(const Node& node) {
  const auto i = static_cast<size_t>(&node - lowered_.nodes.data());
  const BufferId x = use(value_buffers_[index(node.input)]);
  if (node.kind == NodeKind::global_avg_pool) {
    const Extent in = extent(node.input);
    const BufferId y = value_buffers_[index(node.output)] =
        new_buffer(options_.batch * in.channels * 4);
    plan("pooling", [=, this] {
      return Work(
          [=, in_data = activations(x), out = reinterpret_cast<float*>(at(y)), n = options_.batch] {
            average_pool(in_data, n, in.height * in.width, in.channels, out);
          });
    });
    return;
  }
  const BufferId y = value_buffers_[index(node.output)] = new_buffer(activation_bytes(node.output));
  const onednn::MaxPool& pool = pools_[i];
  const BufferId workspace =
      training_ ? new_buffer(static_cast<int64_t>(pool.workspace.get_size())) : -1;
  pool_workspaces_[i] = workspace;
  plan("pooling", [=, this, &pool] {
    std::vector<std::pair<int, dnnl::memory>> arguments = {{DNNL_ARG_SRC, memory(pool.source, x)},
                                                           {DNNL_ARG_DST, memory(pool.target, y)}};
    if (workspace >= 0)
      arguments.emplace_back(DNNL_ARG_WORKSPACE, memory(pool.workspace, workspace));
    return call(pool.forward, std::move(arguments));
  });
}

void CpuProgram::plan_linear(const Node& node, WeightedLayer& layer) {
  const auto i = static_cast<size_t>(&node - lowered_.nodes.data());
  BufferId x = use(value_buffers_[index(node.input)]);
  const int64_t elements = options_.batch * extent(node.input).elements();
  if (options_.precision == Precision::bf16) {  // features are float32; the product is not
    const BufferId narrow = new_buffer(elements * 2);
    plan("linear", [=, this, wide = x] {
      return Work([=, from = reinterpret_cast<const float*>(at(wide)), to = activations(narrow)] {
        convert(from, elements, to);
      });
    });
    x = use(narrow);
  }
  linear_inputs_[i] = x;
  const BufferId y = value_buffers_[index(node.output)] =
      new_buffer(options_.batch * extent(node.output).elements() * 4);
  plan("linear", [this, x, y, &layer] {
    const auto& p = layer.primitives;
    const onednn::Desc bias({parameters_.slot(layer.bias).length}, dnnl::memory::data_type::f32,
                            dnnl::memory::format_tag::x);
    return call(p.forward,
                {{DNNL_ARG_SRC, memory(p.source, x)},
                 {DNNL_ARG_WEIGHTS, onednn::wrap(p.weights_forward, layer.forward_weights())},
                 {DNNL_ARG_BIAS, onednn::wrap(bias, master(layer.bias))},
                 {DNNL_ARG_DST, memory(p.target, y)}});
  });
}

// ---- memory ----

int64_t CpuProgram::activation_bytes(int value) const {
  const int64_t width = options_.precision == Precision::bf16 ? 2 : 4;
  return options_.batch * extent(value).elements() * width;
}

CpuProgram::BufferId CpuProgram::new_buffer(int64_t bytes) {
  const int now = static_cast<int>(planned_.size());
  lifetimes_.push_back({bytes, now, now});
  return static_cast<BufferId>(lifetimes_.size()) - 1;
}

CpuProgram::BufferId CpuProgram::use(BufferId buffer) {
  lifetimes_[index(buffer)].last = static_cast<int>(planned_.size());
  return buffer;
}

void CpuProgram::plan(const char* name, std::function<Work()> make) {
  planned_.push_back({name, std::move(make)});
}

void CpuProgram::finish_plan() {
  memory_plan_ = plan_memory(lifetimes_);
  arena_ = Tensor(DType::u8, {memory_plan_.total_bytes});
  scratch_ = Tensor(DType::u8, {static_cast<int64_t>(scratch_bytes_)});
  for (const auto& [name, make] : planned_) steps_.push_back({name, make()});
  planned_.clear();
}

std::byte* CpuProgram::at(BufferId buffer) const {
  return const_cast<std::byte*>(arena_.data()) + memory_plan_.offsets[index(buffer)];
}

Activations CpuProgram::activations(BufferId buffer) const {
  return {at(buffer), options_.precision};
}

dnnl::memory CpuProgram::memory(const onednn::Desc& desc, BufferId buffer) const {
  return onednn::wrap(desc, at(buffer));
}

CpuProgram::Work CpuProgram::call(const dnnl::primitive& primitive,
                                  std::vector<std::pair<int, dnnl::memory>> arguments) const {
  std::unordered_map<int, dnnl::memory> map(arguments.begin(), arguments.end());
  const onednn::Desc scratch({static_cast<int64_t>(scratch_bytes_)}, dnnl::memory::data_type::u8,
                             dnnl::memory::format_tag::x);
  if (scratch_bytes_ > 0) map.emplace(DNNL_ARG_SCRATCHPAD, onednn::wrap(scratch, scratch_.data()));
  return [primitive, map = std::move(map)] { primitive.execute(onednn::stream(), map); };
}

const void* CpuProgram::WeightedLayer::forward_weights() const {
  return dense || to_forward ? static_cast<const void*>(forward_copy.data()) : master;
}

const void* CpuProgram::WeightedLayer::backward_weights() const {
  if (dense) return forward_copy.data();
  return to_backward ? static_cast<const void*>(backward_copy.data()) : master;
}

}  // namespace hardmoe::cpu
