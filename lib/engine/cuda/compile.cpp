// The compiling half of CudaProgram: parameters placed, the forward pass planned, memory taken, the
// step recorded. backward.cpp plans the rest of a training step.
#include <algorithm>

#include "base/error.h"
#include "engine/cuda/program.h"
#include "engine/cuda/shapes.h"

namespace hardmoe::cuda {
namespace {

double gibibytes(int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

}  // namespace

CudaProgram::CudaProgram(std::shared_ptr<Device> device, const Network& network,
                         const CompileOptions& options)
    : StepPlan(network, options),
      device_(std::move(device)),
      gpu_(device_->gpu),
      held_channels_(held_channels(network)) {
  gpu_.enter();
  place_parameters();
  narrow_buffers_.assign(network_.values.size(), -1);
  pool_indices_.assign(lowered_.nodes.size(), -1);
  plan_nodes();
  if (training_) plan_update();
  take_memory();
  bind_steps(InputSlots::count);
  warm_up();
  record_graphs();
}

CudaProgram::~CudaProgram() {
  try {  // nothing of ours may be in use when its memory goes
    gpu_.enter();
    gpu_.synchronize(gpu_.copies());
    gpu_.synchronize(gpu_.compute());
  } catch (const Error&) {  // a lost GPU has no more use for it
  }
}

// ---- parameters ----

std::shared_ptr<const ConvPlan> CudaProgram::conv_plan(const Node& node, const ConvShape& shape,
                                                       ConvPass pass) {
  auto plan =
      device_->convolutions->plan({pass, shape, options_.precision, options_.deterministic});
  if (plan == nullptr && pass != ConvPass::forward_sums) {
    fail(
        "layer '{}': {} has no way to compute its {}×{} convolution, {} to {} channels of {}×{}, "
        "in "
        "{}{}",
        node.op.name, device_->convolutions->describe(), shape.kernel, shape.kernel, shape.channels,
        shape.out_channels, shape.height, shape.width, name_of(options_.precision),
        options_.deterministic ? " and deterministically; try without deterministic" : "");
  }
  return plan;
}

/// With the sums for the batch norm where that costs less than reading the output again. Sums of
/// squares lose digits that bf16 does not have.
void CudaProgram::choose_forward(const Node& node, ConvLayer& layer) {
  layer.forward = conv_plan(node, layer.shape, ConvPass::forward);
  const auto& readers = lowered_.readers[index(node.output)];
  const bool into_norms =
      !readers.empty() && std::all_of(readers.begin(), readers.end(), [&](int reader) {
        const Node& next = lowered_.nodes[index(reader)];
        return next.kind == NodeKind::norm && next.input == node.output;
      });
  if (!training_ || !narrow() || options_.deterministic || !into_norms) return;
  const auto with_sums = conv_plan(node, layer.shape, ConvPass::forward_sums);
  if (with_sums == nullptr || with_sums->seconds() == 0 || layer.forward->seconds() == 0) return;
  const double reading =
      static_cast<double>(activation_bytes(node.output)) / gpu_.bytes_per_second();
  if (with_sums->seconds() > layer.forward->seconds() + reading) return;
  layer.forward = with_sums;
  layer.sums = true;
  sums_at_[index(node.output)] = state_floats_;
  state_floats_ += 2 * channels(node.output);
}

void CudaProgram::place_conv(const Node& node) {
  auto layer = std::make_unique<ConvLayer>();
  layer->shape = conv_shape(network_, held_channels_, node, options_.batch);
  layer->weight =
      parameters_.add(parameter(node, ".weight"), channels(node.output), channels(node.input));
  choose_forward(node, *layer);
  if (training_) {
    layer->weight_gradient = conv_plan(node, layer->shape, ConvPass::weight_gradient);
    if (node.input != 0) {
      layer->data_gradient = conv_plan(node, layer->shape, ConvPass::data_gradient);
    }
  }
  for (const auto& plan : {layer->forward, layer->data_gradient, layer->weight_gradient}) {
    if (plan != nullptr) need_workspace(plan->workspace_bytes());
  }
  convs_[place_of(node)] = std::move(layer);
}

void CudaProgram::place_linear(const Node& node) {
  auto layer = std::make_unique<LinearLayer>();
  layer->in = channels(node.input);
  layer->out = channels(node.output);
  layer->weight = parameters_.add(parameter(node, ".weight"), layer->out, layer->in);
  layer->bias = parameters_.add(parameter(node, ".bias"), layer->out);
  const auto plan = [&](LinearPass pass) {
    auto made =
        device_->linears->plan({pass, options_.batch, layer->in, layer->out, options_.precision});
    need_workspace(made->workspace_bytes());
    return made;
  };
  layer->forward = plan(LinearPass::forward);
  if (training_) {
    layer->weight_gradient = plan(LinearPass::weight_gradient);
    if (node.input != 0) layer->data_gradient = plan(LinearPass::data_gradient);
  }
  linears_[place_of(node)] = std::move(layer);
}

void CudaProgram::place_norm(const Node& node) {
  auto norm = std::make_unique<Norm>();
  norm->channels = channels(node.output);
  norm->rows = elements(node.output) / norm->channels;
  norm->gamma = parameters_.add(parameter(node, ".weight"), norm->channels);
  norm->beta = parameters_.add(parameter(node, ".bias"), norm->channels);
  norm->state_at = state_floats_;
  state_floats_ += 4 * norm->channels;
  if (training_) need_workspace(4 * norm_workspace_floats(norm->rows, norm->channels));
  norms_[place_of(node)] = std::move(norm);
}

void CudaProgram::place_parameters() {
  convs_.resize(lowered_.nodes.size());
  linears_.resize(lowered_.nodes.size());
  norms_.resize(lowered_.nodes.size());
  sums_at_.assign(network_.values.size(), -1);
  for (const Node& node : lowered_.nodes) {
    if (node.kind == NodeKind::conv) place_conv(node);
    if (node.kind == NodeKind::linear) place_linear(node);
    if (node.kind == NodeKind::norm) place_norm(node);
  }
  for (const Node& node : lowered_.nodes) {  // running statistics behind all learned ones
    if (node.kind != NodeKind::norm) continue;
    Norm& norm = *norms_[place_of(node)];
    norm.running_mean = parameters_.add(parameter(node, ".running_mean"), norm.channels);
    norm.running_var = parameters_.add(parameter(node, ".running_var"), norm.channels);
  }
}

// ---- forward ----

void CudaProgram::plan_input() {
  const BufferId x = new_value(0, activation_bytes(0));
  const int64_t n = elements(0);
  if (!image()) {  // read by linear layers only, so of their precision at once
    narrow_buffers_[0] = x;
    plan("input", [=, this](int slot) {
      return Work([=, this, from = reinterpret_cast<const float*>(slots_->rows(slot)),
                   to = activations(x)] { convert(from, n, to, gpu_.compute()); });
    });
    return;
  }
  ImageInput args;
  args.channels = channels(0);
  args.n = n / args.channels;
  std::copy_n(network_.mean, 3, args.mean);
  std::copy_n(network_.deviation, 3, args.deviation);
  plan("input", [=, this](int slot) {
    ImageInput bound = args;
    bound.pixels = reinterpret_cast<const uint8_t*>(slots_->rows(slot));
    bound.out = activations(x);
    return Work([=, this] { normalize_images(bound, gpu_.compute()); });
  });
}

void CudaProgram::plan_conv(const Node& node) {
  const ConvLayer& layer = *convs_[place_of(node)];
  const BufferId x = use_value(node.input);
  const BufferId y = new_value(node.output, activation_bytes(node.output));
  plan("convolution forward", [=, this, &layer] {
    ConvArrays arrays{at(x), working(layer.weight), at(y), nullptr, nullptr, workspace_.data()};
    if (layer.sums) {
      arrays.sum = sums_of(node.output);
      arrays.squares = arrays.sum + layer.shape.out_channels;
    }
    return Work([arrays, &layer] { layer.forward->run(arrays); });
  });
}

void CudaProgram::plan_norm_statistics(const Node& node, const Norm& norm, BufferId x) {
  plan("norm forward", [=, this, &norm, value = node.input] {
    NormStatistics args;
    args.x = activations(x);
    args.rows = norm.rows;
    args.channels = norm.channels;
    args.gamma = master(norm.gamma);
    args.beta = master(norm.beta);
    args.running_mean = master(norm.running_mean);
    args.running_var = master(norm.running_var);
    args.state = state_of(norm);
    args.workspace = workspace_.as<float>();
    const float* sums = sums_of(value);
    return Work([=, this] {
      if (sums == nullptr) {
        norm_statistics(args, gpu_.compute());
      } else {
        norm_statistics_from_sums(args, sums, sums + args.channels, gpu_.compute());
      }
    });
  });
}

void CudaProgram::plan_norm(const Node& node) {
  Norm& norm = *norms_[place_of(node)];
  const BufferId x = use_value(node.input);
  // In inference scale and shift change with the weights only: refresh() makes them.
  if (training_) {
    plan_norm_statistics(node, norm, x);
    use(x);
  }
  const BufferId residual = node.residual < 0 ? -1 : use_value(node.residual);
  // In training x is needed again; in inference nobody else reads it, so y takes its place.
  const bool in_place = !training_ && lowered_.readers[index(node.input)].size() == 1;
  const BufferId y = in_place ? x : new_buffer(activation_bytes(node.output));
  value_buffers_[index(node.output)] = y;
  if (training_ && node.relu && residual >= 0) {
    const int64_t bytes = norm_mask_bytes(activation_precision(), norm.rows, norm.channels);
    if (bytes > 0) norm.mask = new_buffer(bytes);
  }
  plan("norm forward", [=, this, &norm, relu = node.relu] {
    NormApply args;
    args.x = activations(x);
    if (residual >= 0) args.residual = activations(residual);
    args.y = activations(y);
    if (norm.mask >= 0) args.mask = static_cast<uint8_t*>(at(norm.mask));
    const NormState state = state_of(norm);
    args.scale = state.scale;
    args.shift = state.shift;
    args.relu = relu;
    args.rows = norm.rows;
    args.channels = norm.channels;
    return Work([=, this] { norm_apply(args, gpu_.compute()); });
  });
}

MaxPool CudaProgram::max_pool_of(const Node& node) const {
  const Extent &in = extent(node.input), &out = extent(node.output);
  return {options_.batch, in.height,      in.width,       channels(node.input), out.height,
          out.width,      node.op.kernel, node.op.stride, node.op.padding};
}

void CudaProgram::plan_max_pool(const Node& node) {
  const BufferId x = use_value(node.input);
  const BufferId y = new_value(node.output, activation_bytes(node.output));
  const BufferId winners = training_ ? new_buffer(elements(node.output)) : -1;
  pool_indices_[place_of(node)] = winners;
  const MaxPool pool = max_pool_of(node);
  plan("pooling", [=, this] {
    return Work([=, this, from = activations(x), to = activations(y),
                 won = winners < 0 ? nullptr : static_cast<uint8_t*>(at(winners))] {
      max_pool(pool, from, to, won, gpu_.compute());
    });
  });
}

void CudaProgram::plan_average_pool(const Node& node) {
  const BufferId x = use_value(node.input);
  const BufferId y = new_value(node.output, 4 * elements(node.output));
  const bool feeds_linears = !lowered_.readers[index(node.output)].empty();
  const BufferId rounded = narrow() && feeds_linears ? new_buffer(2 * elements(node.output)) : -1;
  narrow_buffers_[index(node.output)] = rounded;
  const int64_t positions = extent(node.input).height * extent(node.input).width;
  plan("pooling", [=, this, n = options_.batch, c = channels(node.input)] {
    return Work([=, this, from = activations(x), to = floats_at(y),
                 too = rounded < 0 ? nullptr : static_cast<BFloat16*>(at(rounded))] {
      average_pool(from, n, positions, c, to, too, gpu_.compute());
    });
  });
}

void CudaProgram::plan_linear(const Node& node) {
  const LinearLayer& layer = *linears_[place_of(node)];
  BufferId& x = narrow_buffers_[index(node.input)];
  if (!narrow()) x = value_buffers_[index(node.input)];
  if (x < 0) {  // another linear layer's output
    const BufferId wide = use_value(node.input);
    const int64_t n = elements(node.input);
    const BufferId rounded = x = new_buffer(2 * n);
    plan("linear", [=, this] {
      return Work([=, this, from = floats_at(wide), to = activations(rounded)] {
        convert(from, n, to, gpu_.compute());
      });
    });
  }
  const BufferId input = use(x);
  const BufferId y = new_value(node.output, 4 * elements(node.output));
  plan("linear", [=, this, &layer] {
    const LinearArrays arrays{at(input), working(layer.weight), master(layer.bias), at(y),
                              workspace_.data()};
    return Work([arrays, &layer] { layer.forward->run(arrays); });
  });
}

// ---- memory ----

void CudaProgram::make_slots(int64_t most_tags) {
  slots_.reset();  // first: there may not be room for both
  const int64_t rows = options_.batch;
  const Extent& in = extent(0);
  if (image()) {
    const int64_t bytes = in.height * in.width * 3;
    slots_ = std::make_unique<InputSlots>(gpu_, rows, bytes, bytes, most_tags);
  } else {
    slots_ = std::make_unique<InputSlots>(gpu_, rows, 4 * channels(0), 4 * in.channels, most_tags);
  }
}

void CudaProgram::take_memory() {
  memory_plan_ = plan_memory(lifetimes_);
  const OptimizerSpec& optimizer = options_.optimizer;
  const int64_t floats = 4 * parameters_.length();
  const bool second = optimizer.kind == OptimizerKind::adamw;
  const int64_t arrays =
      floats * (training_ ? 3 + (second ? 1 : 0) + (optimizer.ema_decay > 0) : 1);
  constexpr int64_t small = 64 << 10;  // what is not worth counting
  const int64_t fixed =
      arrays + (narrow() ? floats / 2 : 0) + 4 * state_floats_ + workspace_bytes_ + small;
  constexpr int64_t usual_tags = 16;  // an image; slots grow where a batch has more
  const int64_t tags = training_ ? std::min(usual_tags, network_.logits_size()) : 0;
  const int64_t input = image() ? extent(0).elements() : 4 * channels(0);
  const int64_t row = InputSlots::count * (input + 4 + 4 * tags) + 8;
  const int64_t growing = memory_plan_.total_bytes + options_.batch * row;
  const int64_t free = gpu_.free_bytes();
  if (fixed + growing > free) {
    const int64_t room = std::max<int64_t>(free - fixed, 0);
    int64_t fits = static_cast<int64_t>(static_cast<double>(options_.batch) *
                                        static_cast<double>(room) / static_cast<double>(growing));
    constexpr int64_t usual = 8;
    if (fits >= usual) fits -= fits % usual;
    const std::string advice = fits > 0 ? fmt::format("try a batch of {}", fits)
                                        : "choose a smaller network or image size";
    fail("a batch of {} takes {:.2f} GiB on cuda:{} in {}, and {:.2f} are free: {}", options_.batch,
         gibibytes(fixed + growing), gpu_.number(), name_of(options_.precision), gibibytes(free),
         advice);
  }
  const auto array = [&](bool wanted, const char* what) {
    return device_memory(gpu_, wanted ? floats : 0, what);
  };
  weights_ = array(true, "weights");
  gradients_ = array(training_, "gradients");
  first_moment_ = array(training_, "moments");
  second_moment_ = array(training_ && second, "moments");
  average_ = array(training_ && optimizer.ema_decay > 0, "averaged weights");
  copies_ = device_memory(gpu_, narrow() ? floats / 2 : 0, "weights");
  states_ = device_memory(gpu_, 4 * state_floats_, "batch norms");
  arena_ = device_memory(gpu_, memory_plan_.total_bytes, "activations");
  workspace_ = device_memory(gpu_, workspace_bytes_, "convolutions");
  if (training_) {
    loss_ = device_memory(gpu_, 8 * (options_.batch + 1), "losses");
    loss_result_ = pinned_memory(gpu_, 8, "losses");
  } else {
    int64_t bytes = 0;
    for (const int value : results()) bytes += 4 * elements(value);
    for (int slot = 0; slot < InputSlots::count; ++slot) {
      sent_.push_back({pinned_memory(gpu_, bytes, "results"),
                       {},
                       std::make_unique<OwnedEvent>(gpu_, EventKind::order)});
    }
  }
  make_slots(options_.batch * tags);
}

/// Once without recording: what libraries load or set up at the first call must not be part of a
/// graph.
void CudaProgram::warm_up() {
  clear();  // weights and input are zero
  run_steps(0);
  clear();
  gpu_.synchronize(gpu_.compute());
}

void CudaProgram::clear() {
  for (const Memory* memory : {&weights_, &gradients_, &first_moment_, &second_moment_, &average_,
                               &copies_, &states_, &loss_}) {
    gpu_.zero(memory->data(), memory->bytes(), gpu_.compute());
  }
}

void CudaProgram::record_graphs() {
  for (int slot = 0; slot < InputSlots::count; ++slot) {
    graphs_.push_back(gpu_.record_graph([this, slot] {
      for (const Step& step : steps_) step.work[index(slot)]();
    }));
  }
}

void* CudaProgram::at(BufferId buffer) const {
  return arena_.data() + memory_plan_.offsets[index(buffer)];
}

void* CudaProgram::working(int slot) const {
  if (!narrow()) return master(slot);
  return copies_.as<BFloat16>() + parameters_.slot(slot).offset;
}

NormState CudaProgram::state_of(const Norm& norm) const {
  float* state = states_.as<float>() + norm.state_at;
  return {state, state + norm.channels, state + 2 * norm.channels, state + 3 * norm.channels};
}

float* CudaProgram::sums_of(int value) const {
  const int64_t place = sums_at_[index(value)];
  return place < 0 ? nullptr : states_.as<float>() + place;
}

}  // namespace hardmoe::cuda
