// The running half of CudaProgram: weights in and out, a training step, inference.
#include "engine/cuda/program.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "engine/batch_check.h"
#include "engine/profile.h"

namespace hardmoe::cuda {

// ---- arrays of parameters, to and from the host ----

std::vector<float> CudaProgram::fetch(const Memory& array) const {
  gpu_.enter();
  const Memory staging = pinned_memory(gpu_, array.bytes(), "weights");
  gpu_.to_host(staging.data(), array.data(), array.bytes(), gpu_.compute());
  gpu_.synchronize(gpu_.compute());
  const auto* values = staging.as<float>();
  return {values, values + array.bytes() / 4};
}

void CudaProgram::store(const Memory& array, std::span<const float> values) const {
  const Memory staging = pinned_memory(gpu_, array.bytes(), "weights");
  std::copy(values.begin(), values.end(), staging.as<float>());
  gpu_.to_device(array.data(), staging.data(), array.bytes(), gpu_.compute());
  gpu_.synchronize(gpu_.compute());
}

void CudaProgram::load_weights(const StateDict& weights, const std::string& where) {
  gpu_.enter();
  std::vector<float> values(static_cast<size_t>(compilation_.parameters.length()));
  compilation_.parameters.load(weights, "", Which::all, where, values);
  store(weights_, values);
  if (average_) store(average_, values);
  if (origin_) store(origin_, values);
  for (const Memory* memory : {&first_moment_, &second_moment_, &losses_}) {
    gpu_.zero(memory->data(), memory->bytes(), gpu_.compute());
  }
  step_ = 0;
  loss_steps_ = 0;
  in_flight_.clear();
  refresh_layers();
}

/// What follows from the weights: their bf16 copies, and what layers make of them.
void CudaProgram::refresh_layers() {
  if (is_bf16()) {
    convert(weights_.as<float>(), compilation_.parameters.length(),
            {copies_.data(), Precision::bf16}, gpu_.compute());
  }
  for (const auto& layer : layers_) layer->refresh(*this);
}

StateDict CudaProgram::weights() const {
  StateDict state;
  compilation_.parameters.save(fetch(weights_), "", Which::all, state);
  return state;
}

StateDict CudaProgram::averaged_weights() const {
  StateDict state;
  compilation_.parameters.save(fetch(average_ ? average_ : weights_), "", Which::all, state);
  return state;
}

StateDict CudaProgram::optimizer_state() const {
  require_mode(options_, Mode::train, "optimizer_state()");
  const Parameters& parameters = compilation_.parameters;
  StateDict state;
  parameters.save(fetch(first_moment_), "first_moment.", Which::trained, state);
  if (second_moment_) {
    parameters.save(fetch(second_moment_), "second_moment.", Which::trained, state);
  }
  if (average_) parameters.save(fetch(average_), "average.", Which::all, state);
  if (origin_) parameters.save(fetch(origin_), "origin.", Which::trained, state);
  state.emplace("step", Tensor::from<int64_t>({step_}, {1}));
  return state;
}

void CudaProgram::load_optimizer_state(const StateDict& state, const std::string& where) {
  require_mode(options_, Mode::train, "load_optimizer_state()");
  gpu_.enter();
  std::vector<float> values(static_cast<size_t>(compilation_.parameters.length()));
  const auto take = [&](const Memory& array, const char* prefix, Which which) {
    if (!array) return;
    compilation_.parameters.load(state, prefix, which, where, values);
    store(array, values);
  };
  take(first_moment_, "first_moment.", Which::trained);
  take(second_moment_, "second_moment.", Which::trained);
  take(average_, "average.", Which::all);
  take(origin_, "origin.", Which::trained);
  step_ = require_tensor(state, "step", where).as<int64_t>()[0];
}

StateDict CudaProgram::gradients() const {
  require_mode(options_, Mode::train, "gradients()");
  StateDict state;
  compilation_.parameters.save(fetch(gradients_), "", Which::trained, state);
  return state;
}

// ---- steps ----

void CudaProgram::run_work(int slot) {
  if (!graphs_.empty() && !profiling_) {
    const auto& graphs = graphs_[index(slot)];
    graphs.front()->launch();
    if (graphs.size() == 1) return;
    for (const Task& task : tasks_) {
      if (task.piece == Piece::reduce) task.work[index(slot)]();
    }
    graphs.back()->launch();
    return;
  }
  for (size_t i = 0; i < tasks_.size(); ++i) {
    if (profiling_) gpu_.record(marks_[i].get(), gpu_.compute());
    tasks_[i].work[index(slot)]();
  }
  if (!profiling_) return;
  gpu_.record(marks_.back().get(), gpu_.compute());
  gpu_.synchronize(marks_.back().get());
  for (size_t i = 0; i < tasks_.size(); ++i) {
    tasks_[i].seconds += gpu_.seconds_between(marks_[i].get(), marks_[i + 1].get());
  }
}

/// A GPU's steps are short: none is given up.
bool CudaProgram::do_step(const Batch& batch, float lr, const std::function<bool()>&) {
  require_mode(options_, Mode::train, "train_step()");
  check_batch(graph_.network, options_, batch);
  check_tags(batch, row_elements(graph_.network.logits));
  gpu_.enter();
  const auto tags = static_cast<int64_t>(batch.tag_ids.size());
  if (tags > slots_->most_tags()) {  // more than ever before: larger slots, other addresses
    gpu_.synchronize(gpu_.compute());
    graphs_.clear();
    const int64_t before = slots_->most_tags();
    const auto make = [&](int64_t most_tags) {
      make_slots(most_tags);
      bind_work();
      record_graphs();
    };
    try {
      make(2 * tags);
    } catch (const Error&) {  // no room: the batch is refused, the program goes on
      graphs_.clear();
      make(before);
      throw;
    }
  }
  const int slot =
      slots_->send(batch, step_factors(options_.optimizer, lr, step_ + 1), /*with_tags=*/true);
  run_work(slot);
  slots_->enqueued(slot);
  ++step_;
  ++loss_steps_;
  return true;
}

std::vector<double> CudaProgram::take_losses() {
  std::vector<double> means(options_.losses.size(), 0.0);
  if (loss_steps_ == 0) return means;
  gpu_.enter();
  const auto bytes = static_cast<int64_t>(8 * means.size());
  gpu_.to_host(losses_result_.data(), loss_sum(0), bytes, gpu_.compute());
  gpu_.zero(loss_sum(0), bytes, gpu_.compute());
  gpu_.synchronize(gpu_.compute());
  for (size_t i = 0; i < means.size(); ++i) {
    means[i] = losses_result_.as<double>()[i] / static_cast<double>(loss_steps_);
  }
  loss_steps_ = 0;
  return means;
}

/// The values that go back to the host, in the order in which receive() takes them.
std::vector<int> CudaProgram::results() const {
  std::vector<int> values;
  for (const int value : {graph_.feature(), graph_.network.logits}) {
    if (value > 0) values.push_back(value);  // 0 is the input, which the host has
  }
  return values;
}

int64_t CudaProgram::result_bytes(int value, int64_t rows) const {
  const int64_t each = comes_as_bf16(value) ? 2 : 4;
  return rows * graph_.type(value).extent.positions() * held(value) * each;
}

void CudaProgram::send(const Batch& batch) {
  require_mode(options_, Mode::infer, "send()");
  check_batch(graph_.network, options_, batch);
  if (std::ssize(in_flight_) == most_in_flight()) {
    fail("send() with {} batches on their way; receive() the first", in_flight_.size());
  }
  gpu_.enter();
  const int slot = slots_->send(batch, {}, /*with_tags=*/false);
  run_work(slot);
  slots_->enqueued(slot);
  Sent& sent = sent_[index(slot)];
  sent.rows = batch.size;
  if (graph_.feature() == 0) {  // as they came, before any rounding
    const auto* rows = reinterpret_cast<const float*>(batch.input.data());
    sent.input.assign(rows, rows + batch.size * row_elements(0));
  }
  std::byte* to = sent.results.data();
  for (const int value : results()) {
    const int64_t bytes = result_bytes(value, batch.size);
    gpu_.to_host(to, at(plan_->buffer_of(value)), bytes, gpu_.compute());
    to += result_bytes(value, options_.batch);
  }
  gpu_.record(sent.done->get(), gpu_.compute());
  in_flight_.push_back(slot);
}

void CudaProgram::receive(std::span<float> features, std::span<float> logits) {
  if (in_flight_.empty()) fail("receive() without a batch that was sent");
  const Sent& sent = sent_[index(in_flight_.front())];
  in_flight_.pop_front();
  const auto size_of = [&](int value) { return value < 0 ? 0 : row_elements(value); };
  check_results(size_of(graph_.feature()), sent.rows, features, "features");
  check_results(size_of(graph_.network.logits), sent.rows, logits, "logits");
  gpu_.enter();
  gpu_.synchronize(sent.done->get());
  const std::byte* from = sent.results.data();
  const auto copy = [&](int value, std::span<float> out) {
    if (value <= 0) return;  // none, or the input itself
    const Extent& extent = graph_.type(value).extent;
    const DType type = comes_as_bf16(value) ? DType::bf16 : DType::f32;
    const int64_t stride = result_bytes(value, 1) / extent.positions(), kept = extent.channels;
    const int64_t positions = out.empty() ? 0 : sent.rows * extent.positions();
    for (int64_t i = 0; i < positions; ++i) {
      convert_to_float(type, from + i * stride, kept, out.data() + i * kept);
    }
    from += result_bytes(value, options_.batch);
  };
  copy(graph_.feature(), features);
  copy(graph_.network.logits, logits);
  if (graph_.feature() == 0 && !features.empty()) {
    std::copy(sent.input.begin(), sent.input.end(), features.begin());
  }
}

// ---- what it costs ----

void CudaProgram::set_profiling(bool on) {
  gpu_.enter();
  while (on && marks_.size() < tasks_.size() + 1) marks_.emplace_back(gpu_, EventKind::timing);
  profiling_ = on;
}

std::vector<ProfileLine> CudaProgram::profile() const {
  std::vector<ProfileLine> lines;
  for (const Task& task : tasks_) lines.push_back({task.name, task.seconds});
  return merged_profile(lines);
}

int64_t CudaProgram::memory_bytes() const {
  int64_t bytes = slots_->bytes();
  for (const Memory* memory : {&weights_, &gradients_, &first_moment_, &second_moment_, &average_,
                               &origin_, &copies_, &states_, &arena_, &workspace_, &losses_}) {
    bytes += memory->bytes();
  }
  return bytes;
}

}  // namespace hardmoe::cuda
