// The compiling half of CudaProgram: layers made, steps planned, memory taken, work bound to it and
// recorded.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "engine/cuda/program.h"
#include "engine/network_facts.h"

namespace hardmoe::cuda {
namespace {

double gibibytes(int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

}  // namespace

CudaProgram::CudaProgram(std::shared_ptr<Device> device, const Network& network,
                         const CompileOptions& options)
    : Program(options),
      device_(std::move(device)),
      gpu_(device_->gpu),
      options_(options),
      graph_(make_graph(network, options)),
      training_(options.mode == Mode::train),
      compilation_{graph_, options_, *device_, held_channels(graph_),
                   {},     0,        0,        std::vector<int64_t>(graph_.types.size(), -1)} {
  gpu_.enter();
  make_layers();
  plan_ = std::make_unique<Plan>(graph_, options_, static_cast<const PlanSizes&>(*this));
  take_memory();
  bind_work();
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

void CudaProgram::make_layers() {
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    LayerBuilder builder(compilation_, static_cast<int>(i));
    layers_.push_back(
        std::visit([&](const auto& op) { return make_layer(op, builder); }, graph_.nodes[i].op));
  }
  compilation_.parameters.lay_out();
}

int64_t CudaProgram::elements(int value) const {
  const ValueType& type = graph_.type(value);
  return type.planned_rows(options_.batch) * type.extent.positions() * held(value);
}

int64_t CudaProgram::value_bytes(int value, Element element) const {
  return elements(value) * (element == Element::working && is_bf16() ? 2 : 4);
}

int64_t CudaProgram::saved_bytes(int node) const { return layers_[index(node)]->saved_bytes(); }

// ---- memory ----

InputSlots::Row CudaProgram::input_row() const {
  const Extent& in = graph_.network.extent;
  if (image()) return {1, in.elements(), in.elements()};
  return {in.positions(), 4 * held(0), 4 * in.channels};
}

void CudaProgram::make_slots(int64_t most_tags) {
  slots_.reset();  // first: there may not be room for both
  slots_ = std::make_unique<InputSlots>(gpu_, options_.batch, input_row(), most_tags);
}

void CudaProgram::take_memory() {
  memory_plan_ = plan_memory(lifetimes_of(*plan_));
  const OptimizerSpec& optimizer = options_.optimizer;
  const int64_t floats = 4 * compilation_.parameters.length();
  const bool second = optimizer.kind == OptimizerKind::adamw;
  const int64_t arrays =
      floats *
      (training_ ? 3 + (second ? 1 : 0) + (optimizer.ema_decay > 0) + (optimizer.pull != 0) : 1);
  const int64_t states = 4 * compilation_.state_floats;
  constexpr int64_t small = 64 << 10;  // what is not worth counting
  const int64_t fixed =
      arrays + (is_bf16() ? floats / 2 : 0) + states + compilation_.workspace_bytes + small;
  constexpr int64_t usual_tags = 16;  // an image; slots grow where a batch has more
  const int64_t tags = training_ ? std::min(usual_tags, logits_size(graph_.network)) : 0;
  const int64_t input = input_row().pieces * input_row().bytes;
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
  origin_ = array(training_ && optimizer.pull != 0, "first weights");
  copies_ = device_memory(gpu_, is_bf16() ? floats / 2 : 0, "weights");
  states_ = device_memory(gpu_, states, "batch norms");
  arena_ = device_memory(gpu_, memory_plan_.total_bytes, "activations");
  workspace_ = device_memory(gpu_, compilation_.workspace_bytes, "convolutions");
  if (training_) {
    const auto count = static_cast<int64_t>(options_.losses.size());
    losses_ = device_memory(gpu_, 8 * (options_.batch + count), "losses");
    losses_result_ = pinned_memory(gpu_, 8 * count, "losses");
  } else {
    int64_t bytes = 0;
    for (const int value : results()) bytes += result_bytes(value, options_.batch);
    for (int slot = 0; slot < InputSlots::count; ++slot) {
      sent_.push_back({pinned_memory(gpu_, bytes, "results"),
                       {},
                       std::make_unique<OwnedEvent>(gpu_, EventKind::order)});
    }
  }
  make_slots(options_.batch * tags);
}

void* CudaProgram::at(BufferId buffer) const {
  return arena_.data() + memory_plan_.offsets[index(buffer)];
}

Activations CudaProgram::activations(BufferId buffer) const {
  if (buffer < 0) return {};
  const bool working = plan_->buffer(buffer).element == Element::working;
  return {at(buffer), working && is_bf16() ? Precision::bf16 : Precision::fp32};
}

float* CudaProgram::weights(int parameter) const {
  return weights_.as<float>() + compilation_.parameters.offset(parameter);
}

float* CudaProgram::gradient(int parameter) const {
  return gradients_.as<float>() + compilation_.parameters.offset(parameter);
}

void* CudaProgram::working_weights(int parameter) const {
  if (!is_bf16()) return weights(parameter);
  return copies_.as<BFloat16>() + compilation_.parameters.offset(parameter);
}

double* CudaProgram::row_losses() const { return losses_.as<double>(); }

double* CudaProgram::loss_sum(int loss) const {
  return losses_.as<double>() + options_.batch + loss;
}

// ---- work ----

/// Makes the work of every task for each slot that a batch may come from.
void CudaProgram::bind_work() {
  const std::vector<Task> before = std::exchange(tasks_, {});  // made anew where slots have grown
  const auto add = [&](const char* name, Piece piece, const std::function<Work(int)>& make) {
    Task task{name, piece, {}};
    if (!before.empty()) task.seconds = before[tasks_.size()].seconds;
    for (int slot = 0; slot < InputSlots::count; ++slot) task.work.push_back(make(slot));
    tasks_.push_back(std::move(task));
  };
  for (const Step& step : plan_->steps()) {
    add(step.name, Piece::gradients, [&](int slot) { return work_of(step, slot); });
  }
  if (!training_) return;
  if (several_processes()) add("reduce", Piece::reduce, [&](int) { return reduce_gradients(); });
  add("update", Piece::update, [&](int slot) { return update(slot); });
}

Work CudaProgram::work_of(const Step& step, int slot) {
  switch (step.pass) {
    case Pass::input:
      return take_input(step, slot);
    case Pass::convert: {
      const int64_t n = plan_->buffer(step.y).bytes / 2;
      return [=, this, from = floats(step.x[0]), to = activations(step.y)] {
        convert(from, n, to, stream());
      };
    }
    case Pass::add: {
      const Activations sum = activations(step.dy), term = activations(step.dy2);
      const int64_t n = plan_->buffer(step.dy).bytes / (is_bf16() ? 2 : 4);
      return [=, this] { add(sum, term, n, sum, stream()); };
    }
    default:
      return layers_[index(step.node)]->work(step, *this, slot);
  }
}

Work CudaProgram::take_input(const Step& step, int slot) {
  const Activations out = activations(step.y);
  if (!image()) {
    const int64_t n = elements(0);
    return [=, this, from = reinterpret_cast<const float*>(slots_->rows(slot))] {
      convert(from, n, out, stream());
    };
  }
  ImageInput args;
  args.pixels = reinterpret_cast<const uint8_t*>(slots_->rows(slot));
  args.channels = held(0);
  args.n = elements(0) / args.channels;
  std::copy_n(graph_.network.mean, 3, args.mean);
  std::copy_n(graph_.network.deviation, 3, args.deviation);
  args.out = out;
  return [args, this] { normalize_images(args, stream()); };
}

/// Averages over all processes.
Work CudaProgram::reduce_gradients() {
  return [this] {
    Communicator& processes = *options_.communicator;
    const int64_t n = compilation_.parameters.trained_length();
    processes.all_reduce(gradients_.as<float>(), n, stream());
    scale(gradients_.as<float>(), n, 1 / static_cast<float>(processes.size()), stream());
  };
}

Work CudaProgram::update(int slot) {
  Update args;
  args.spec = options_.optimizer;
  args.factors = slots_->factors(slot);
  args.weights = weights_.as<float>();
  args.gradients = gradients_.as<float>();
  args.first = first_moment_.as<float>();
  args.second = second_moment_.as<float>();
  args.average = average_.as<float>();
  args.copies = copies_.as<BFloat16>();
  args.origin = origin_.as<float>();
  args.learned = compilation_.parameters.trained_length();
  args.slow = args.learned - compilation_.parameters.full_length();
  args.slow_factor = options_.slow_factor;
  args.length = compilation_.parameters.length();
  return [args, this] { update_weights(args, stream()); };
}

/// Once without recording: what libraries load or set up at the first call must not be part of a
/// graph.
void CudaProgram::warm_up() {
  clear();  // weights and input are zero
  run_work(0);
  clear();
  gpu_.synchronize(gpu_.compute());
}

void CudaProgram::clear() {
  for (const Memory* memory : {&weights_, &gradients_, &first_moment_, &second_moment_, &average_,
                               &origin_, &copies_, &states_, &losses_}) {
    gpu_.zero(memory->data(), memory->bytes(), gpu_.compute());
  }
}

void CudaProgram::record_graphs() {
  for (int slot = 0; slot < InputSlots::count; ++slot) {
    std::vector<std::unique_ptr<RecordedGraph>>& recorded = graphs_.emplace_back();
    const auto record = [&](const std::function<bool(Piece)>& wanted) {
      recorded.push_back(gpu_.record_graph([&, this] {
        for (const Task& task : tasks_) {
          if (wanted(task.piece)) task.work[index(slot)]();
        }
      }));
    };
    if (several_processes() && training_) {
      record([](Piece piece) { return piece == Piece::gradients; });
      record([](Piece piece) { return piece == Piece::update; });
    } else {
      record([](Piece) { return true; });
    }
  }
}

}  // namespace hardmoe::cuda
