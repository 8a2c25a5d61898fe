// Compiling a CudaProgram: the loss and the backward pass planned, then the update.
#include "engine/cuda/program.h"

namespace hardmoe::cuda {

CudaProgram::BufferId CudaProgram::plan_loss() {
  const BufferId logits = use_value(network_.logits);
  const BufferId slope = new_buffer(activation_bytes(network_.logits));
  plan("loss", [=, this](int slot) {
    TagLoss args;
    args.kind = options_.loss;
    args.smoothing = options_.label_smoothing;
    args.logits = floats_at(logits);
    args.tag_ptr = slots_->tag_ptr(slot);
    args.tag_ids = slots_->tag_ids(slot);
    args.n = options_.batch;
    args.tags = network_.logits_size();
    args.stride = channels(network_.logits);
    args.row_loss = loss_.as<double>();
    args.loss_sum = loss_.as<double>() + options_.batch;
    args.gradient = activations(slope);
    return Work([=, this] { tag_loss(args, gpu_.compute()); });
  });
  return slope;
}

void CudaProgram::plan_average_pool_backward(const Node& node) {
  const BufferId dy = gradient_of(node.output);
  const BufferId dx = new_gradient(node.input);
  const int64_t positions = extent(node.input).height * extent(node.input).width;
  plan("pooling", [=, this, n = options_.batch, c = channels(node.input)] {
    return Work([=, this, from = activations(dy), to = activations(dx)] {
      average_pool_backward(from, n, positions, c, to, gpu_.compute());
    });
  });
}

void CudaProgram::plan_max_pool_backward(const Node& node) {
  const BufferId dy = gradient_of(node.output);
  const BufferId winners = use(pool_indices_[place_of(node)]);
  const BufferId dx = new_gradient(node.input);
  const MaxPool pool = max_pool_of(node);
  plan("pooling", [=, this] {
    return Work([=, this, from = activations(dy), to = activations(dx),
                 won = static_cast<const uint8_t*>(at(winners))] {
      max_pool_backward(pool, from, won, to, gpu_.compute());
    });
  });
}

void CudaProgram::plan_add(int value, BufferId into, BufferId piece) {
  plan("add", [=, this, n = elements(value)] {
    return Work([=, this, a = activations(into), b = activations(piece)] {
      add(a, b, n, a, gpu_.compute());
    });
  });
}

void CudaProgram::plan_conv_backward(const Node& node) {
  const ConvLayer& layer = *convs_[place_of(node)];
  const BufferId dy = gradient_of(node.output);
  const BufferId x = use_value(node.input);
  plan("convolution backward weights", [=, this, &layer] {
    const ConvArrays arrays{at(x),   gradient(layer.weight), at(dy), nullptr,
                            nullptr, workspace_.data()};
    return Work([arrays, &layer] { layer.weight_gradient->run(arrays); });
  });
  if (node.input == 0) return;
  use(dy);
  const BufferId dx = new_gradient(node.input);
  plan("convolution backward data", [=, this, &layer] {
    const ConvArrays arrays{at(dx),  working(layer.weight), at(dy), nullptr,
                            nullptr, workspace_.data()};
    return Work([arrays, &layer] { layer.data_gradient->run(arrays); });
  });
}

void CudaProgram::plan_norm_backward(const Node& node) {
  const Norm& norm = *norms_[place_of(node)];
  const auto [dy, dy2] = gradient_pieces(node.output);
  const BufferId x = use_value(node.input);
  const bool branches = node.residual >= 0;
  if (norm.mask >= 0) use(norm.mask);
  const bool reads_y = branches && node.relu && norm.mask < 0;
  const BufferId y = reads_y ? use_value(node.output) : -1;
  const BufferId dx = branches ? new_buffer(activation_bytes(node.input)) : dy;
  leave_gradient(node.input, dx);
  if (branches) leave_gradient(node.residual, dy);  // holds g from here on

  plan("norm backward", [=, this, dy = dy, dy2 = dy2, &norm, relu = node.relu] {
    NormBackward args;
    args.x = activations(x);
    if (y >= 0) args.y = activations(y);
    if (norm.mask >= 0) args.mask = static_cast<const uint8_t*>(at(norm.mask));
    args.dy = activations(dy);
    if (dy2 >= 0) args.dy2 = activations(dy2);
    args.dx = activations(dx);
    args.gamma = master(norm.gamma);
    args.state = state_of(norm);
    args.d_gamma = gradient(norm.gamma);
    args.d_beta = gradient(norm.beta);
    args.relu = relu;
    args.keep_g = branches || dy2 >= 0;
    args.rows = norm.rows;
    args.channels = norm.channels;
    args.workspace = workspace_.as<float>();
    return Work([=, this] { norm_backward(args, gpu_.compute()); });
  });
}

void CudaProgram::plan_linear_backward(const Node& node) {
  const LinearLayer& layer = *linears_[place_of(node)];
  const BufferId dy = gradient_of(node.output);
  plan("linear", [=, this, &layer, n = options_.batch] {
    return Work([=, this, from = activations(dy), columns = layer.out, to = gradient(layer.bias)] {
      bias_gradient(from, n, columns, to, gpu_.compute());
    });
  });
  use(dy);
  const BufferId x = use(narrow_buffers_[index(node.input)]);
  plan("linear", [=, this, &layer] {
    const LinearArrays arrays{at(x), gradient(layer.weight), nullptr, at(dy), workspace_.data()};
    return Work([arrays, &layer] { layer.weight_gradient->run(arrays); });
  });
  if (node.input == 0) return;
  use(dy);
  const BufferId dx = new_gradient(node.input);
  plan("linear", [=, this, &layer] {
    const LinearArrays arrays{at(dx), working(layer.weight), nullptr, at(dy), workspace_.data()};
    return Work([arrays, &layer] { layer.data_gradient->run(arrays); });
  });
}

void CudaProgram::plan_update() {
  plan("update", [this](int slot) {
    Update args;
    args.spec = options_.optimizer;
    args.factors = slots_->factors(slot);
    args.weights = weights_.as<float>();
    args.gradients = gradients_.as<float>();
    args.first = first_moment_.as<float>();
    args.second = second_moment_.as<float>();
    args.average = average_.as<float>();
    args.copies = copies_.as<BFloat16>();
    args.learned = parameters_.learned_length();
    args.length = parameters_.length();
    return Work([=, this] { update_weights(args, gpu_.compute()); });
  });
}

}  // namespace hardmoe::cuda
