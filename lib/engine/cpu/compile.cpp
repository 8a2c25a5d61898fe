// The compiling half of CpuProgram: parameters placed, steps planned forwards then backwards,
// memory laid out, primitives bound to it.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "engine/cpu/program.h"

namespace hardmoe::cpu {
CpuProgram::CpuProgram(const Network& network, const CompileOptions& options)
    : StepPlan(network, options) {
  place_parameters();
  linear_inputs_.assign(lowered_.nodes.size(), -1);
  pool_workspaces_.assign(lowered_.nodes.size(), -1);
  plan_nodes();
  take_memory();
  bind_steps(1);
}

// ---- parameters ----

onednn::Needs CpuProgram::needs_of(const Node& node) const {
  return !training_        ? onednn::Needs::forward
         : node.input == 0 ? onednn::Needs::weights_gradient
                           : onednn::Needs::all_gradients;
}

void CpuProgram::place_conv(const Node& node) {
  const Extent& in = extent(node.input);
  const Extent& out = extent(node.output);
  auto convolution =
      make_convolution({node.op, in, out, options_.batch, options_.precision, needs_of(node)});
  need_scratch(convolution->scratch_bytes());
  const int weight = parameters_.add(parameter(node, ".weight"), &convolution->layout());
  convs_[place_of(node)] = std::make_unique<ConvLayer>(ConvLayer{std::move(convolution), weight});
}

void CpuProgram::place_linear(const Node& node) {
  auto layer = std::make_unique<LinearLayer>();
  layer->primitives =
      onednn::inner_product(extent(node.input).elements(), extent(node.output).channels,
                            options_.batch, options_.precision, needs_of(node));
  need_scratch(layer->primitives.scratch_bytes);
  const ParameterSpec spec = parameter(node, ".weight");
  const onednn::Desc held =
      training_ ? layer->primitives.weights_gradient : onednn::plain_weight(spec.shape);
  layer->weight = parameters_.add(spec, &held);
  layer->bias = parameters_.add(parameter(node, ".bias"), nullptr);
  linears_[place_of(node)] = std::move(layer);
}

void CpuProgram::place_norm(const Node& node) {
  auto norm = std::make_unique<Norm>();
  norm->gamma = parameters_.add(parameter(node, ".weight"), nullptr);
  norm->beta = parameters_.add(parameter(node, ".bias"), nullptr);
  const int64_t channels = extent(node.output).channels;
  NormState& state = norm->state;
  for (auto* v : {&state.mean, &state.variance, &state.inverse, &state.scale, &state.shift}) {
    v->resize(static_cast<size_t>(channels));
  }
  state.workspace = norm_workspace(channels);
  norms_[place_of(node)] = std::move(norm);
}

void CpuProgram::place_parameters() {
  convs_.resize(lowered_.nodes.size());
  linears_.resize(lowered_.nodes.size());
  norms_.resize(lowered_.nodes.size());
  pools_.resize(lowered_.nodes.size());
  for (const Node& node : lowered_.nodes) {
    switch (node.kind) {
      case NodeKind::conv:
        place_conv(node);
        break;
      case NodeKind::linear:
        place_linear(node);
        break;
      case NodeKind::norm:
        place_norm(node);
        break;
      case NodeKind::max_pool: {
        onednn::MaxPool& pool = pools_[place_of(node)];
        pool = onednn::max_pool(node.op, extent(node.input), extent(node.output), options_.batch,
                                options_.precision, training_);
        need_scratch(pool.scratch_bytes);
        break;
      }
      case NodeKind::global_avg_pool:
        break;
    }
  }
  for (const Node& node : lowered_.nodes) {  // running statistics behind all learned ones
    if (node.kind != NodeKind::norm) continue;
    Norm& norm = *norms_[place_of(node)];
    norm.running_mean = parameters_.add(parameter(node, ".running_mean"), nullptr);
    norm.running_var = parameters_.add(parameter(node, ".running_var"), nullptr);
  }

  const auto array = [&](bool wanted) {
    return Tensor(DType::f32, {wanted ? parameters_.length() : 0});
  };
  weights_ = array(true);
  gradients_ = array(training_);
  first_moment_ = array(training_);
  second_moment_ = array(training_ && options_.optimizer.kind == OptimizerKind::adamw);
  average_ = array(training_ && options_.optimizer.ema_decay > 0);

  for (const auto& layer : convs_) {
    if (layer) layer->convolution->place(master(layer->weight));
  }
  for (const auto& layer : linears_) {
    if (!layer) continue;
    layer->weights.place(master(layer->weight), parameters_.slot(layer->weight).layout,
                         layer->primitives);
  }
}

// ---- forward ----

/// Each step takes it before the others run.
void CpuProgram::plan_input() {
  const bool image = network_.input == InputKind::image;
  new_value(0, image ? activation_bytes(0) : options_.batch * extent(0).elements() * 4);
}

void CpuProgram::plan_conv(const Node& node) {
  const ConvLayer& layer = *convs_[place_of(node)];
  const BufferId x = use_value(node.input);
  const BufferId y = new_value(node.output, activation_bytes(node.output));
  plan("convolution forward",
       [=, this, &layer] { return layer.convolution->forward(at(x), at(y), scratch()); });
}

void CpuProgram::plan_norm(const Node& node) {
  Norm& norm = *norms_[place_of(node)];
  const BufferId x = use_value(node.input);
  const BufferId residual = node.residual < 0 ? -1 : use_value(node.residual);
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

void CpuProgram::plan_average_pool(const Node& node) {
  const Extent in = extent(node.input);
  const BufferId x = use_value(node.input);
  const BufferId y = new_value(node.output, options_.batch * in.channels * 4);
  plan("pooling", [=, this] {
    return Work(
        [=, in_data = activations(x), out = reinterpret_cast<float*>(at(y)), n = options_.batch] {
          average_pool(in_data, n, in.height * in.width, in.channels, out);
        });
  });
}

void CpuProgram::plan_max_pool(const Node& node) {
  const BufferId x = use_value(node.input);
  const BufferId y = new_value(node.output, activation_bytes(node.output));
  const onednn::MaxPool& pool = pools_[place_of(node)];
  const BufferId workspace =
      training_ ? new_buffer(static_cast<int64_t>(pool.workspace.get_size())) : -1;
  pool_workspaces_[place_of(node)] = workspace;
  plan("pooling", [=, this, &pool] {
    std::vector<std::pair<int, dnnl::memory>> arguments = {{DNNL_ARG_SRC, memory(pool.source, x)},
                                                           {DNNL_ARG_DST, memory(pool.target, y)}};
    if (workspace >= 0)
      arguments.emplace_back(DNNL_ARG_WORKSPACE, memory(pool.workspace, workspace));
    return call(pool.forward, arguments);
  });
}

void CpuProgram::plan_linear(const Node& node) {
  const LinearLayer& layer = *linears_[place_of(node)];
  BufferId x = use_value(node.input);
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
  linear_inputs_[place_of(node)] = x;
  const BufferId y = new_value(node.output, options_.batch * extent(node.output).elements() * 4);
  plan("linear", [this, x, y, &layer] {
    const auto& p = layer.primitives;
    const onednn::Desc bias({parameters_.slot(layer.bias).length}, dnnl::memory::data_type::f32,
                            dnnl::memory::format_tag::x);
    return call(p.forward,
                {{DNNL_ARG_SRC, memory(p.source, x)},
                 {DNNL_ARG_WEIGHTS, onednn::wrap(p.weights_forward, layer.weights.forward())},
                 {DNNL_ARG_BIAS, onednn::wrap(bias, master(layer.bias))},
                 {DNNL_ARG_DST, memory(p.target, y)}});
  });
}

// ---- memory ----

int64_t CpuProgram::activation_bytes(int value) const {
  const int64_t width = options_.precision == Precision::bf16 ? 2 : 4;
  return options_.batch * extent(value).elements() * width;
}

void CpuProgram::take_memory() {
  memory_plan_ = plan_memory(lifetimes_);
  arena_ = Tensor(DType::u8, {memory_plan_.total_bytes});
  scratch_ = Tensor(DType::u8, {static_cast<int64_t>(scratch_bytes_)});
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

Scratch CpuProgram::scratch() const {
  return {const_cast<std::byte*>(scratch_.data()), scratch_.bytes()};
}

Work CpuProgram::call(const dnnl::primitive& primitive,
                      const std::vector<std::pair<int, dnnl::memory>>& arguments) const {
  return onednn::bind(primitive, arguments, scratch());
}

}  // namespace hardmoe::cpu
