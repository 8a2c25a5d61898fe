// The running half of CpuProgram: weights in and out, a training step, inference.
#include "engine/cpu/program.h"

#include <algorithm>
#include <cstring>
#include <utility>

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
  sent_rows_ = 0;
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
    for (const Step& step : steps_) step.work[0]();
    return;
  }
  for (Step& step : steps_) {
    const double start = now_seconds();
    step.work[0]();
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

void CpuProgram::send(const Batch& batch) {
  require_inference("send()");
  check_batch(network_, options_, batch);
  if (sent_rows_ > 0) fail("send() before the results of the last batch were received");
  take_input(batch);
  run_steps();
  sent_rows_ = batch.size;
}

void CpuProgram::receive(std::span<float> features, std::span<float> logits) {
  const int64_t rows = std::exchange(sent_rows_, 0);
  if (rows == 0) fail("receive() without a batch that was sent");
  const auto copy = [&](int value, std::span<float> out, const char* what) {
    check_results(network_, value, rows, out, what);
    if (out.empty()) return;
    const auto count = static_cast<size_t>(rows * extent(value).elements());
    std::memcpy(out.data(), at(value_buffers_[index(value)]), count * sizeof(float));
  };
  copy(network_.feature, features, "features");
  copy(network_.logits, logits, "logits");
}

std::vector<ProfileLine> CpuProgram::profile() const {
  std::vector<ProfileLine> more = {{"input", input_seconds_}};
  if (training_) more.push_back({"update", update_seconds_});
  return profile_of(more);
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
