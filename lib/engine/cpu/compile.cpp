// The compiling half of CpuProgram: parameters placed, steps planned forwards then backwards,
// memory laid out, primitives bound to it.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "engine/cpu/program.h"

namespace hardmoe::cpu {
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

ParameterSpec CpuProgram::parameter(const Node& node, const char* suffix) const {
  const auto specs = parameters_of(network_);
  return *std::find_if(specs.begin(), specs.end(), [&](const ParameterSpec& spec) {
    return spec.name == node.op.name + suffix;
  });
}

// ---- forward ----

void CpuProgram::plan_forward(const Node& node) {
  const size_t i = place_of(node);
  switch (node.kind) {
    case NodeKind::conv:
      plan_conv(node, *convs_[i]);
      break;
    case NodeKind::norm:
      plan_norm(node, *norms_[i]);
      break;
    case NodeKind::linear:
      plan_linear(node, *linears_[i]);
      break;
    case NodeKind::max_pool:
    case NodeKind::global_avg_pool:
      plan_pools(node);
      break;
  }
}

void CpuProgram::plan_conv(const Node& node, const ConvLayer& layer) {
  const BufferId x = use(value_buffers_[index(node.input)]);
  const BufferId y = value_buffers_[index(node.output)] = new_buffer(activation_bytes(node.output));
  plan("convolution forward",
       [=, this, &layer] { return layer.convolution->forward(at(x), at(y), scratch()); });
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
  const size_t i = place_of(node);
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
    return call(pool.forward, arguments);
  });
}

void CpuProgram::plan_linear(const Node& node, const LinearLayer& layer) {
  const size_t i = place_of(node);
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

Scratch CpuProgram::scratch() const {
  return {const_cast<std::byte*>(scratch_.data()), scratch_.bytes()};
}

Work CpuProgram::call(const dnnl::primitive& primitive,
                      const std::vector<std::pair<int, dnnl::memory>>& arguments) const {
  return onednn::bind(primitive, arguments, scratch());
}

}  // namespace hardmoe::cpu
