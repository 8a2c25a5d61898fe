// The running half of CpuProgram: weights in and out, a training step, inference.
#include "engine/cpu/program.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "engine/batch_check.h"
#include "engine/network_facts.h"
#include "engine/profile.h"

namespace hardmoe::cpu {

void CpuProgram::load_weights(const StateDict& weights, const std::string& where) {
  Tensor values(DType::f32, {parameters_.length()});  // nothing changes if it throws
  parameters_.load(weights, "", Which::all, where, values);
  std::memcpy(weights_.data(), values.data(), values.bytes());
  for (Tensor* moment : {&first_moment_, &second_moment_}) {
    std::memset(moment->data(), 0, moment->bytes());
  }
  for (Tensor* copy : {&average_, &origin_}) {
    if (copy->elements() > 0) std::memcpy(copy->data(), weights_.data(), copy->bytes());
  }
  step_ = 0;
  sent_rows_ = 0;
  take_losses();
  refresh_layers();
}

StateDict CpuProgram::weights() const {
  StateDict state;
  parameters_.save(weights_, "", Which::all, state);
  return state;
}

StateDict CpuProgram::averaged_weights() const {
  StateDict state;
  parameters_.save(average_.elements() > 0 ? average_ : weights_, "", Which::all, state);
  return state;
}

StateDict CpuProgram::optimizer_state() const {
  require_mode(options_, Mode::train, "optimizer_state()");
  StateDict state;
  parameters_.save(first_moment_, "first_moment.", Which::trained, state);
  if (second_moment_.elements() > 0) {
    parameters_.save(second_moment_, "second_moment.", Which::trained, state);
  }
  if (average_.elements() > 0) parameters_.save(average_, "average.", Which::all, state);
  if (origin_.elements() > 0) parameters_.save(origin_, "origin.", Which::trained, state);
  state.emplace("step", Tensor::from<int64_t>({step_}, {1}));
  return state;
}

void CpuProgram::load_optimizer_state(const StateDict& state, const std::string& where) {
  require_mode(options_, Mode::train, "load_optimizer_state()");
  parameters_.load(state, "first_moment.", Which::trained, where, first_moment_);
  if (second_moment_.elements() > 0) {
    parameters_.load(state, "second_moment.", Which::trained, where, second_moment_);
  }
  if (average_.elements() > 0) parameters_.load(state, "average.", Which::all, where, average_);
  if (origin_.elements() > 0) parameters_.load(state, "origin.", Which::trained, where, origin_);
  step_ = require_tensor(state, "step", where).as<int64_t>()[0];
}

StateDict CpuProgram::gradients() const {
  require_mode(options_, Mode::train, "gradients()");
  StateDict state;
  parameters_.save(gradients_, "", Which::trained, state);
  return state;
}

/// Returns whether all was done; false where `give_up` said so before.
bool CpuProgram::run_steps(const Batch& batch, const std::function<bool()>& give_up) {
  running_.batch = &batch;
  bool done = false;
  for (size_t i = 0; i < work_.size(); ++i) {
    if (give_up && give_up()) break;
    const double start = profiling_ ? now_seconds() : 0;
    work_[i]();
    if (profiling_) seconds_[i] += now_seconds() - start;
    done = i + 1 == work_.size();
  }
  running_.batch = nullptr;
  return done;
}

bool CpuProgram::trains_alone() const {
  const Communicator* processes = options_.communicator.get();
  return processes == nullptr || processes->size() == 1;
}

bool CpuProgram::do_step(const Batch& batch, float lr, const std::function<bool()>& give_up) {
  require_mode(options_, Mode::train, "train_step()");
  check_batch(graph_.network, options_, batch);
  check_tags(batch, graph_.type(graph_.network.logits).extent.elements());
  running_.step = static_cast<uint32_t>(step_ + 1);
  if (give_up && trains_alone()) {
    // What a step changes before its update: running statistics, which follow the trained parameters.
    const auto statistics =
        weights_.as<float>().subspan(static_cast<size_t>(parameters_.trained_length()));
    const std::vector<float> before(statistics.begin(), statistics.end());
    const std::vector<double> losses = running_.loss_sums;
    if (!run_steps(batch, give_up)) {
      std::ranges::copy(before, statistics.begin());
      running_.loss_sums = losses;
      return false;
    }
  } else {
    run_steps(batch);
  }
  const double start = profiling_ ? now_seconds() : 0;
  reduce_gradients();
  update(lr);
  if (profiling_) update_seconds_ += now_seconds() - start;
  ++loss_steps_;
  return true;
}

/// Averages over all processes.
void CpuProgram::reduce_gradients() {
  if (trains_alone()) return;
  Communicator* processes = options_.communicator.get();
  const int64_t n = parameters_.trained_length();
  float* gradients = gradients_.as<float>().data();
  processes->all_reduce(gradients, n, nullptr);
  scale(gradients, n, 1 / static_cast<float>(processes->size()));
}

void CpuProgram::update(float lr) {
  ++step_;
  const OptimizerSpec& spec = options_.optimizer;
  const int64_t full = parameters_.full_length();
  update_range(lr, 0, full);
  update_range(lr * options_.slow_factor, full, parameters_.trained_length());
  if (average_.elements() > 0) {
    average_weights(spec.ema_decay, weights_.as<float>().data(), average_.as<float>().data(),
                    parameters_.length());
  }
  refresh_layers();
}

/// Updates the parameters from float `begin` to `end` of the arrays.
void CpuProgram::update_range(float lr, int64_t begin, int64_t end) {
  const auto at = [&](Tensor& array) {
    return array.elements() > 0 ? array.as<float>().data() + begin : nullptr;
  };
  update_weights({options_.optimizer, lr, step_, at(weights_), at(gradients_), at(first_moment_),
                  at(second_moment_), end - begin, at(origin_)});
}

void CpuProgram::refresh_layers() {
  for (const auto& layer : layers_) layer->refresh();
}

std::vector<double> CpuProgram::take_losses() {
  std::vector<double> means = running_.loss_sums;
  for (double& mean : means) mean = loss_steps_ > 0 ? mean / static_cast<double>(loss_steps_) : 0;
  std::fill(running_.loss_sums.begin(), running_.loss_sums.end(), 0.0);
  loss_steps_ = 0;
  return means;
}

void CpuProgram::send(const Batch& batch) {
  require_mode(options_, Mode::infer, "send()");
  check_batch(graph_.network, options_, batch);
  if (sent_rows_ > 0) fail("send() before the results of the last batch were received");
  run_steps(batch);
  sent_rows_ = batch.size;
}

void CpuProgram::receive(std::span<float> features, std::span<float> logits) {
  const int64_t rows = std::exchange(sent_rows_, 0);
  if (rows == 0) fail("receive() without a batch that was sent");
  const auto copy = [&](int value, std::span<float> out, const char* what) {
    const int64_t size = value < 0 ? 0 : graph_.type(value).extent.elements();
    check_results(size, rows, out, what);
    if (out.empty()) return;
    to_float(activations(plan_->buffer_of(value)), rows * size, out.data());
  };
  copy(graph_.feature(), features, "features");
  copy(graph_.network.logits, logits, "logits");
}

std::vector<ProfileLine> CpuProgram::profile() const {
  std::vector<ProfileLine> lines;
  for (size_t i = 0; i < seconds_.size(); ++i) {
    lines.push_back({plan_->steps()[i].name, seconds_[i]});
  }
  if (training_) lines.push_back({"update", update_seconds_});
  return merged_profile(lines);
}

int64_t CpuProgram::memory_bytes() const {
  size_t bytes = arena_.bytes() + scratch_.bytes() + weights_.bytes() + gradients_.bytes() +
                 first_moment_.bytes() + second_moment_.bytes() + average_.bytes() +
                 origin_.bytes();
  for (const auto& layer : layers_) bytes += layer->copy_bytes();
  return static_cast<int64_t>(bytes);
}

}  // namespace hardmoe::cpu
