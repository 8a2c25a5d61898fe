// The running half of CudaProgram: weights in and out, a training step, inference.
#include "engine/cuda/program.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "engine/batch_check.h"

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

void CudaProgram::send(const Memory& array, std::span<const float> values) const {
  const Memory staging = pinned_memory(gpu_, array.bytes(), "weights");
  std::copy(values.begin(), values.end(), staging.as<float>());
  gpu_.to_device(array.data(), staging.data(), array.bytes(), gpu_.compute());
  gpu_.synchronize(gpu_.compute());
}

void CudaProgram::load_weights(const StateDict& weights, const std::string& where) {
  gpu_.enter();
  std::vector<float> values(static_cast<size_t>(parameters_.length()));
  parameters_.load(weights, "", false, where, values);
  send(weights_, values);
  if (average_) send(average_, values);
  for (const Memory* memory : {&first_moment_, &second_moment_, &loss_}) {
    gpu_.zero(memory->data(), memory->bytes(), gpu_.compute());
  }
  step_ = 0;
  loss_steps_ = 0;
  in_flight_.clear();
  refresh();
}

/// What follows from the weights: their bf16 copies, and in inference the norms' coefficients.
void CudaProgram::refresh() {
  if (narrow()) {
    convert(weights_.as<float>(), parameters_.length(), {copies_.data(), Precision::bf16},
            gpu_.compute());
  }
  if (!training_) {
    for (const auto& norm : norms_) {
      if (!norm) continue;
      const NormState state = state_of(*norm);
      norm_coefficients(master(norm->gamma), master(norm->beta), master(norm->running_mean),
                        master(norm->running_var), norm->channels, state.scale, state.shift,
                        gpu_.compute());
    }
  }
}

StateDict CudaProgram::weights() const {
  StateDict state;
  parameters_.save(fetch(weights_), "", false, state);
  return state;
}

StateDict CudaProgram::averaged_weights() const {
  StateDict state;
  parameters_.save(fetch(average_ ? average_ : weights_), "", false, state);
  return state;
}

StateDict CudaProgram::optimizer_state() const {
  require_training("optimizer_state()");
  StateDict state;
  parameters_.save(fetch(first_moment_), "first_moment.", true, state);
  if (second_moment_) parameters_.save(fetch(second_moment_), "second_moment.", true, state);
  if (average_) parameters_.save(fetch(average_), "average.", false, state);
  state.emplace("step", Tensor::from<int64_t>({step_}, {1}));
  return state;
}

void CudaProgram::load_optimizer_state(const StateDict& state, const std::string& where) {
  require_training("load_optimizer_state()");
  gpu_.enter();
  std::vector<float> values(static_cast<size_t>(parameters_.length()));
  const auto take = [&](const Memory& array, const char* prefix, bool learned_only) {
    if (!array) return;
    parameters_.load(state, prefix, learned_only, where, values);
    send(array, values);
  };
  take(first_moment_, "first_moment.", true);
  take(second_moment_, "second_moment.", true);
  take(average_, "average.", false);
  step_ = require_tensor(state, "step", where).as<int64_t>()[0];
}

StateDict CudaProgram::gradients() const {
  require_training("gradients()");
  StateDict state;
  parameters_.save(fetch(gradients_), "", true, state);
  return state;
}

// ---- steps ----

void CudaProgram::run_steps(int slot) {
  if (!graphs_.empty() && !profiling_) {
    graphs_[index(slot)]->launch();
    return;
  }
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (profiling_) gpu_.record(marks_[i].get(), gpu_.compute());
    steps_[i].work[index(slot)]();
  }
  if (!profiling_) return;
  gpu_.record(marks_.back().get(), gpu_.compute());
  gpu_.synchronize(marks_.back().get());
  for (size_t i = 0; i < steps_.size(); ++i) {
    steps_[i].seconds += gpu_.seconds_between(marks_[i].get(), marks_[i + 1].get());
  }
}

void CudaProgram::train_step(const Batch& batch, float lr) {
  require_training("train_step()");
  check_batch(network_, options_, batch);
  check_tags(network_, batch);
  gpu_.enter();
  const auto tags = static_cast<int64_t>(batch.tag_ids.size());
  if (tags > slots_->most_tags()) {  // more than ever before: larger slots, other addresses
    gpu_.synchronize(gpu_.compute());
    graphs_.clear();
    make_slots(2 * tags);
    bind_steps(InputSlots::count);
    record_graphs();
  }
  const int slot =
      slots_->send(batch, step_factors(options_.optimizer, lr, step_ + 1), /*with_tags=*/true);
  run_steps(slot);
  slots_->enqueued(slot);
  ++step_;
  ++loss_steps_;
}

double CudaProgram::take_loss() {
  if (loss_steps_ == 0) return 0;
  gpu_.enter();
  double* sum = loss_.as<double>() + options_.batch;
  gpu_.to_host(loss_result_.data(), sum, sizeof *sum, gpu_.compute());
  gpu_.zero(sum, sizeof *sum, gpu_.compute());
  gpu_.synchronize(gpu_.compute());
  const double mean = *loss_result_.as<double>() / static_cast<double>(loss_steps_);
  loss_steps_ = 0;
  return mean;
}

/// The values that go back to the host.
std::vector<int> CudaProgram::results() const {
  std::vector<int> values;
  for (const int value : {network_.feature, network_.logits}) {
    if (value > 0) values.push_back(value);  // 0 is the input, which the host has
  }
  return values;
}

void CudaProgram::send(const Batch& batch) {
  require_inference("send()");
  check_batch(network_, options_, batch);
  if (std::ssize(in_flight_) == most_in_flight()) {
    fail("send() with {} batches on their way; receive() the first", in_flight_.size());
  }
  gpu_.enter();
  const int slot = slots_->send(batch, {}, /*with_tags=*/false);
  run_steps(slot);
  slots_->enqueued(slot);
  Sent& sent = sent_[index(slot)];
  sent.rows = batch.size;
  if (network_.feature == 0) {  // as they came, before any rounding
    const auto* rows = reinterpret_cast<const float*>(batch.input.data());
    sent.input.assign(rows, rows + batch.size * extent(0).channels);
  }
  std::byte* to = sent.results.data();
  for (const int value : results()) {
    gpu_.to_host(to, at(value_buffers_[index(value)]), 4 * batch.size * channels(value),
                 gpu_.compute());
    to += 4 * elements(value);
  }
  gpu_.record(sent.done->get(), gpu_.compute());
  in_flight_.push_back(slot);
}

void CudaProgram::receive(std::span<float> features, std::span<float> logits) {
  if (in_flight_.empty()) fail("receive() without a batch that was sent");
  const Sent& sent = sent_[index(in_flight_.front())];
  in_flight_.pop_front();
  check_results(network_, network_.feature, sent.rows, features, "features");
  check_results(network_, network_.logits, sent.rows, logits, "logits");
  gpu_.enter();
  gpu_.synchronize(sent.done->get());
  const std::byte* from = sent.results.data();
  for (const int value : results()) {
    const std::span<float> out = value == network_.feature ? features : logits;
    const auto* rows = reinterpret_cast<const float*>(from);
    const int64_t held = channels(value), kept = extent(value).channels;
    for (int64_t row = 0; row < sent.rows && !out.empty(); ++row) {
      std::copy_n(rows + row * held, kept, out.data() + row * kept);
    }
    from += 4 * elements(value);
  }
  if (network_.feature == 0 && !features.empty()) {
    std::copy(sent.input.begin(), sent.input.end(), features.begin());
  }
}

// ---- what it costs ----

void CudaProgram::set_profiling(bool on) {
  gpu_.enter();
  while (on && marks_.size() < steps_.size() + 1) marks_.emplace_back(gpu_, EventKind::timing);
  profiling_ = on;
}

std::vector<ProfileLine> CudaProgram::profile() const { return profile_of({}); }

int64_t CudaProgram::memory_bytes() const {
  int64_t bytes = slots_->bytes();
  for (const Memory* memory : {&weights_, &gradients_, &first_moment_, &second_moment_, &average_,
                               &copies_, &states_, &arena_, &workspace_, &loss_}) {
    bytes += memory->bytes();
  }
  return bytes;
}

}  // namespace hardmoe::cuda
