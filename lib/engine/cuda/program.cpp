// The running half of CudaProgram: weights in and out, a training step, inference.
#include "engine/cuda/program.h"

#include <algorithm>
#include <cstring>
#include <map>

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

void CudaProgram::require_training(const char* call) const {
  if (!training_) fail("{} on a program compiled for inference", call);
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
    bind_steps();
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

void CudaProgram::copy_rows(int value, int64_t rows, std::span<float> out) const {
  const int64_t held = channels(value), kept = extent(value).channels;
  gpu_.to_host(results_.data(), at(value_buffers_[index(value)]), 4 * rows * held, gpu_.compute());
  gpu_.synchronize(gpu_.compute());
  const auto* from = results_.as<float>();
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(from + row * held, kept, out.data() + row * kept);
  }
}

void CudaProgram::infer(const Batch& batch, std::span<float> features, std::span<float> logits) {
  if (training_) fail("infer() on a program compiled for training");
  check_batch(network_, options_, batch);
  const auto check_room = [&](int value, std::span<float> out, const char* what) {
    if (out.empty()) return;
    if (value < 0) fail("the network has no {}", what);
    const auto count = static_cast<size_t>(batch.size * extent(value).elements());
    if (out.size() < count) fail("{}: room for {} values, {} needed", what, out.size(), count);
  };
  check_room(network_.feature, features, "features");
  check_room(network_.logits, logits, "logits");
  gpu_.enter();
  const int slot = slots_->send(batch, {}, /*with_tags=*/false);
  run_steps(slot);
  slots_->enqueued(slot);
  if (!features.empty()) {
    if (network_.feature == 0) {  // as they came, before any rounding
      std::memcpy(features.data(), batch.input.data(),
                  static_cast<size_t>(4 * batch.size * extent(0).channels));
    } else {
      copy_rows(network_.feature, batch.size, features);
    }
  }
  if (!logits.empty()) copy_rows(network_.logits, batch.size, logits);
  // Without results to wait for, this batch's memory is the caller's again all the same: send() has
  // copied it.
}

// ---- what it costs ----

void CudaProgram::set_profiling(bool on) {
  gpu_.enter();
  while (on && marks_.size() < steps_.size() + 1) marks_.emplace_back(gpu_, EventKind::timing);
  profiling_ = on;
}

std::vector<ProfileLine> CudaProgram::profile() const {
  std::map<std::string, double> seconds;
  for (const Step& step : steps_) seconds[step.name] += step.seconds;
  std::vector<ProfileLine> lines;
  for (const auto& [name, value] : seconds) lines.push_back({name, value});
  std::stable_sort(lines.begin(), lines.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return lines;
}

int64_t CudaProgram::memory_bytes() const {
  int64_t bytes = slots_->bytes();
  for (const Memory* memory : {&weights_, &gradients_, &first_moment_, &second_moment_, &average_,
                               &copies_, &states_, &arena_, &workspace_, &loss_}) {
    bytes += memory->bytes();
  }
  return bytes;
}

}  // namespace hardmoe::cuda
