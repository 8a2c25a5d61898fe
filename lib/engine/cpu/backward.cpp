// Compiling a CpuProgram: the loss and the backward pass planned, last node first. Each reader of a
// value leaves a piece of its gradient; the value's producer takes their sum.
#include "engine/cpu/program.h"

namespace hardmoe::cpu {

void CpuProgram::plan_loss() {
  const BufferId logits = use(value_buffers_[index(network_.logits)]);
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
  value_gradients_[index(network_.logits)] = {gradient};
}

void CpuProgram::plan_backward(const Node& node) {
  const size_t i = place_of(node);
  if (value_gradients_[index(node.output)].empty()) return;  // nothing downstream is trained
  switch (node.kind) {
    case NodeKind::conv:
      plan_conv_backward(node, *convs_[i]);
      break;
    case NodeKind::norm:
      plan_norm_backward(node, *norms_[i]);
      break;
    case NodeKind::linear:
      plan_linear_backward(node, *linears_[i]);
      break;
    case NodeKind::global_avg_pool: {
      merge_gradients(node.output, 1);
      const BufferId dy = use(value_gradients_[index(node.output)][0]);
      const BufferId dx = new_buffer(activation_bytes(node.input));
      value_gradients_[index(node.input)].push_back(dx);
      const Extent in = extent(node.input);
      plan("pooling", [=, this] {
        return Work([=, from = activations(dy), to = activations(dx), n = options_.batch] {
          average_pool_backward(from, n, in.height * in.width, in.channels, to);
        });
      });
      break;
    }
    case NodeKind::max_pool: {
      merge_gradients(node.output, 1);
      const BufferId dy = use(value_gradients_[index(node.output)][0]);
      const BufferId workspace = use(pool_workspaces_[i]);
      const BufferId dx = new_buffer(activation_bytes(node.input));
      value_gradients_[index(node.input)].push_back(dx);
      const onednn::MaxPool& pool = pools_[i];
      plan("pooling", [=, this, &pool] {
        return call(pool.backward, {{DNNL_ARG_DIFF_DST, memory(pool.target, dy)},
                                    {DNNL_ARG_WORKSPACE, memory(pool.workspace, workspace)},
                                    {DNNL_ARG_DIFF_SRC, memory(pool.source, dx)}});
      });
      break;
    }
  }
}

/// Adds up the gradients of a value that more than `most` readers left.
void CpuProgram::merge_gradients(int value, size_t most) {
  auto& pieces = value_gradients_[index(value)];
  while (pieces.size() > most) {
    const BufferId extra = use(pieces.back());
    pieces.pop_back();
    const BufferId into = use(pieces.back());
    const int64_t n = options_.batch * extent(value).elements();
    plan("add", [=, this] {
      return Work([=, a = activations(into), b = activations(extra)] { add_in_place(a, b, n); });
    });
  }
}

void CpuProgram::plan_conv_backward(const Node& node, const ConvLayer& layer) {
  merge_gradients(node.output, 1);
  const BufferId dy = value_gradients_[index(node.output)][0];
  const BufferId x = use(value_buffers_[index(node.input)]);
  use(dy);
  plan("convolution backward weights", [=, this, &layer] {
    return layer.convolution->backward_weights(at(x), at(dy), gradient(layer.weight), scratch());
  });
  if (node.input == 0) return;
  use(dy);
  const BufferId dx = new_buffer(activation_bytes(node.input));
  value_gradients_[index(node.input)].push_back(dx);
  plan("convolution backward data",
       [=, this, &layer] { return layer.convolution->backward_data(at(dy), at(dx), scratch()); });
}

void CpuProgram::plan_norm_backward(const Node& node, Norm& norm) {
  merge_gradients(node.output, 2);
  const auto& pieces = value_gradients_[index(node.output)];
  const BufferId dy = use(pieces[0]);
  const BufferId dy2 = pieces.size() > 1 ? use(pieces[1]) : -1;
  const BufferId x = use(value_buffers_[index(node.input)]);
  const bool branches = node.residual >= 0;
  const BufferId y = branches && node.relu ? use(value_buffers_[index(node.output)]) : -1;
  const BufferId dx = branches ? new_buffer(activation_bytes(node.input)) : dy;
  value_gradients_[index(node.input)].push_back(dx);
  if (branches) value_gradients_[index(node.residual)].push_back(dy);  // holds g from here on

  plan("norm backward", [=, this, &norm, relu = node.relu] {
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

void CpuProgram::plan_linear_backward(const Node& node, const LinearLayer& layer) {
  const size_t i = place_of(node);
  merge_gradients(node.output, 1);
  const BufferId dy = use(value_gradients_[index(node.output)][0]);
  const BufferId x = use(linear_inputs_[i]);
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
  const BufferId dx = new_buffer(activation_bytes(node.input));
  value_gradients_[index(node.input)].push_back(dx);
  plan("linear", [=, this, &layer] {
    const auto& p = layer.primitives;
    return call(p.backward_data,
                {{DNNL_ARG_DIFF_DST, memory(slope, dy)},
                 {DNNL_ARG_WEIGHTS, onednn::wrap(p.weights_backward, layer.weights.backward())},
                 {DNNL_ARG_DIFF_SRC, memory(p.source, dx)}});
  });
}

}  // namespace hardmoe::cpu
