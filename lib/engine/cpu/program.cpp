// The running half of CpuProgram: weights in and out, a training step, inference.
#include "engine/cpu/program.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "base/error.h"
#include "base/log.h"
#include "engine/batch_check.h"

namespace hardmoe::cpu {

void CpuProgram::load_weights(const StateDict& weights, const std::string& where) {
  parameters_.load(weights, "", false, where, weights_);
  for (Tensor* moment : {&first_moment_, &second_moment_}) {
    std::memset(moment->data(), 0, moment->bytes());
  }
  if (average_.elements() > 0) std::memcpy(average_.data(), weights_.data(), average_.bytes());
  step_ = 0;
  loss_sum_ = 0;
  loss_steps_ = 0;
  refresh_working_weights();
}

StateDict CpuProgram::weights() const {
  StateDict state;
  parameters_.save(weights_, "", false, state);
  return state;
}

StateDict CpuProgram::averaged_weights() const {
  StateDict state;
  parameters_.save(average_.elements() > 0 ? average_ : weights_, "", false, state);
  return state;
}

StateDict CpuProgram::optimizer_state() const {
  require_training("optimizer_state()");
  StateDict state;
  parameters_.save(first_moment_, "first_moment.", true, state);
  if (second_moment_.elements() > 0)
    parameters_.save(second_moment_, "second_moment.", true, state);
  if (average_.elements() > 0) parameters_.save(average_, "average.", false, state);
  state.emplace("step", Tensor::from<int64_t>({step_}, {1}));
  return state;
}

void CpuProgram::load_optimizer_state(const StateDict& state, const std::string& where) {
  require_training("load_optimizer_state()");
  parameters_.load(state, "first_moment.", true, where, first_moment_);
  if (second_moment_.elements() > 0) {
    parameters_.load(state, "second_moment.", true, where, second_moment_);
  }
  if (average_.elements() > 0) parameters_.load(state, "average.", false, where, average_);
  step_ = require_tensor(state, "step", where).as<int64_t>()[0];
}

StateDict CpuProgram::gradients() const {
  require_training("gradients()");
  StateDict state;
  parameters_.save(gradients_, "", true, state);
  return state;
}

void CpuProgram::require_training(const char* call) const {
  if (!training_) fail("{} on a program compiled for inference", call);
}

void CpuProgram::take_input(const Batch& batch) {
  const double start = profiling_ ? now_seconds() : 0;
  const Extent& in = extent(0);
  if (network_.input == InputKind::image) {
    normalize_images(batch.input.as<uint8_t>().data(), batch.size * in.height * in.width,
                     network_.mean, network_.deviation, activations(value_buffers_[0]));
  } else {
    std::memcpy(at(value_buffers_[0]), batch.input.data(),
                static_cast<size_t>(batch.size * in.channels) * sizeof(float));
  }
  if (profiling_) input_seconds_ += now_seconds() - start;
}

void CpuProgram::run_steps() {
  if (!profiling_) {
    for (const Step& step : steps_) step.work();
    return;
  }
  for (Step& step : steps_) {
    const double start = now_seconds();
    step.work();
    step.seconds += now_seconds() - start;
  }
}

void CpuProgram::train_step(const Batch& batch, float lr) {
  require_training("train_step()");
  check_batch(network_, options_, batch);
  check_tags(network_, batch);
  tag_ptr_ = batch.tag_ptr;
  tag_ids_ = batch.tag_ids;
  take_input(batch);
  run_steps();
  const double start = profiling_ ? now_seconds() : 0;
  update(lr);
  if (profiling_) update_seconds_ += now_seconds() - start;
  ++loss_steps_;
}

void CpuProgram::update(float lr) {
  ++step_;
  const OptimizerSpec& spec = options_.optimizer;
  float* second = second_moment_.elements() > 0 ? second_moment_.as<float>().data() : nullptr;
  update_weights({spec, lr, step_, weights_.as<float>().data(), gradients_.as<float>().data(),
                  first_moment_.as<float>().data(), second, parameters_.learned_length()});
  if (average_.elements() > 0) {
    average_weights(spec.ema_decay, weights_.as<float>().data(), average_.as<float>().data(),
                    parameters_.length());
  }
  refresh_working_weights();
}

void CpuProgram::refresh_working_weights() {
  for (const auto& layer : convs_) {
    if (layer) layer->convolution->refresh();
  }
  for (const auto& layer : linears_) {
    if (layer) layer->weights.refresh();
  }
}

double CpuProgram::take_loss() {
  const double mean = loss_steps_ > 0 ? loss_sum_ / static_cast<double>(loss_steps_) : 0;
  loss_sum_ = 0;
  loss_steps_ = 0;
  return mean;
}

void CpuProgram::infer(const Batch& batch, std::span<float> features, std::span<float> logits) {
  if (training_) fail("infer() on a program compiled for training");
  check_batch(network_, options_, batch);
  const auto copy = [&](int value, std::span<float> out, const char* what) {
    if (out.empty()) return;
    if (value < 0) fail("the network has no {}", what);
    const auto count = static_cast<size_t>(batch.size * extent(value).elements());
    if (out.size() < count) fail("{}: room for {} values, {} needed", what, out.size(), count);
    std::memcpy(out.data(), at(value_buffers_[static_cast<size_t>(value)]), count * sizeof(float));
  };
  take_input(batch);
  run_steps();
  copy(network_.feature, features, "features");
  copy(network_.logits, logits, "logits");
}

std::vector<ProfileLine> CpuProgram::profile() const {
  std::map<std::string, double> seconds;
  for (const Step& step : steps_) seconds[step.name] += step.seconds;
  seconds["input"] = input_seconds_;
  if (training_) seconds["update"] = update_seconds_;
  std::vector<ProfileLine> lines;
  for (const auto& [name, value] : seconds) lines.push_back({name, value});
  std::stable_sort(lines.begin(), lines.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return lines;
}

int64_t CpuProgram::memory_bytes() const {
  size_t bytes = arena_.bytes() + scratch_.bytes();
  for (const Tensor* t : {&weights_, &gradients_, &first_moment_, &second_moment_, &average_}) {
    bytes += t->bytes();
  }
  for (const auto& layer : convs_) {
    if (layer) bytes += layer->convolution->copy_bytes();
  }
  for (const auto& layer : linears_) {
    if (layer) bytes += layer->weights.bytes();
  }
  return static_cast<int64_t>(bytes);
}

}  // namespace hardmoe::cpu
