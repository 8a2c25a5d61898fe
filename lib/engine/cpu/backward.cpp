// Compiling a CpuProgram: the loss and the backward pass planned.
#include "engine/cpu/program.h"

namespace hardmoe::cpu {

CpuProgram::BufferId CpuProgram::plan_loss() {
  const BufferId logits = use_value(network_.logits);
  const int64_t tags = network_.logits_size();
  const int64_t n = options_.batch;
  row_loss_.resize(static_cast<size_t>(n));
  const BufferId slope = new_buffer(n * tags * 4);
  plan("loss", [=, this] {
    return Work([=, this, z = reinterpret_cast<const float*>(at(logits)),
                 g = reinterpret_cast<float*>(at(slope))] {
      loss_sum_ += tag_loss(options_.loss, options_.label_smoothing, z,
                            {tag_ptr_.data(), tag_ids_.data()}, n, tags, row_loss_.data(), g);
    });
  });
  BufferId gradient = slope;
  if (options_.precision == Precision::bf16) {
    use(slope);
    gradient = new_buffer(n * tags * 2);
    plan("loss", [=, this] {
      return Work([=, from = reinterpret_cast<const float*>(at(slope)),
                   to = activations(gradient)] { convert(from, n * tags, to); });
    });
  }
  return gradient;
}

void CpuProgram::plan_average_pool_backward(const Node& node) {
  const BufferId dy = gradient_of(node.output);
  const BufferId dx = new_gradient(node.input);
  const Extent in = extent(node.input);
  plan("pooling", [=, this] {
    return Work([=, from = activations(dy), to = activations(dx), n = options_.batch] {
      average_pool_backward(from, n, in.height * in.width, in.channels, to);
    });
  });
}

void CpuProgram::plan_max_pool_backward(const Node& node) {
  const onednn::MaxPool& pool = pools_[place_of(node)];
  const BufferId dy = gradient_of(node.output);
  const BufferId workspace = use(pool_workspaces_[place_of(node)]);
  const BufferId dx = new_gradient(node.input);
  plan("pooling", [=, this, &pool] {
    return call(pool.backward, {{DNNL_ARG_DIFF_DST, memory(pool.target, dy)},
                                {DNNL_ARG_WORKSPACE, memory(pool.workspace, workspace)},
                                {DNNL_ARG_DIFF_SRC, memory(pool.source, dx)}});
  });
}

void CpuProgram::plan_add(int value, BufferId into, BufferId piece) {
  const int64_t n = options_.batch * extent(value).elements();
  plan("add", [=, this] {
    return Work([=, a = activations(into), b = activations(piece)] { add_in_place(a, b, n); });
  });
}

void CpuProgram::plan_conv_backward(const Node& node) {
  const ConvLayer& layer = *convs_[place_of(node)];
  const BufferId dy = gradient_of(node.output);
  const BufferId x = use_value(node.input);
  plan("convolution backward weights", [=, this, &layer] {
    return layer.convolution->backward_weights(at(x), at(dy), gradient(layer.weight), scratch());
  });
  if (node.input == 0) return;
  use(dy);
  const BufferId dx = new_gradient(node.input);
  plan("convolution backward data",
       [=, this, &layer] { return layer.convolution->backward_data(at(dy), at(dx), scratch()); });
}

void CpuProgram::plan_norm_backward(const Node& node) {
  Norm& norm = *norms_[place_of(node)];
  const auto [dy, dy2] = gradient_pieces(node.output);
  const BufferId x = use_value(node.input);
  const bool branches = node.residual >= 0;
  const BufferId y = branches && node.relu ? use_value(node.output) : -1;
  const BufferId dx = branches ? new_buffer(activation_bytes(node.input)) : dy;
  leave_gradient(node.input, dx);
  if (branches) leave_gradient(node.residual, dy);  // holds g from here on

  plan("norm backward", [=, this, dy = dy, dy2 = dy2, &norm, relu = node.relu] {
    NormBackward args;
    args.x = activations(x);
    if (y >= 0) args.y = activations(y);
    args.dy = activations(dy);
    if (dy2 >= 0) args.dy2 = activations(dy2);
    args.dx = activations(dx);
    NormState& s = norm.state;
    args.gamma = master(norm.gamma);
    args.mean = s.mean.data();
    args.inverse_deviation = s.inverse.data();
    args.scale = s.scale.data();
    args.shift = s.shift.data();
    args.d_gamma = gradient(norm.gamma);
    args.d_beta = gradient(norm.beta);
    args.relu = relu;
    args.keep_g = branches || dy2 >= 0;
    args.channels = extent(node.output).channels;
    args.rows = options_.batch * extent(node.output).elements() / args.channels;
    return Work([args, &s] { norm_backward(args, s.workspace); });
  });
}

void CpuProgram::plan_linear_backward(const Node& node) {
  const LinearLayer& layer = *linears_[place_of(node)];
  const BufferId dy = gradient_of(node.output);
  const BufferId x = use(linear_inputs_[place_of(node)]);
  const onednn::Desc slope({options_.batch, extent(node.output).channels},
                           onednn::type_of(options_.precision), dnnl::memory::format_tag::nc);
  plan("linear", [=, this, &layer] {
    const auto& p = layer.primitives;
    const onednn::Desc bias({parameters_.slot(layer.bias).length}, dnnl::memory::data_type::f32,
                            dnnl::memory::format_tag::x);
    return call(p.backward_weights,
                {{DNNL_ARG_SRC, memory(p.source, x)},
                 {DNNL_ARG_DIFF_DST, memory(slope, dy)},
                 {DNNL_ARG_DIFF_WEIGHTS, onednn::wrap(p.weights_gradient, gradient(layer.weight))},
                 {DNNL_ARG_DIFF_BIAS, onednn::wrap(bias, gradient(layer.bias))}});
  });
  if (node.input == 0) return;
  use(dy);
  const BufferId dx = new_gradient(node.input);
  plan("linear", [=, this, &layer] {
    const auto& p = layer.primitives;
    return call(p.backward_data,
                {{DNNL_ARG_DIFF_DST, memory(slope, dy)},
                 {DNNL_ARG_WEIGHTS, onednn::wrap(p.weights_backward, layer.weights.backward())},
                 {DNNL_ARG_DIFF_SRC, memory(p.source, dx)}});
  });
}

}  // namespace hardmoe::cpu
