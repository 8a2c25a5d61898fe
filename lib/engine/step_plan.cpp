#include "engine/step_plan.h"

#include <algorithm>
#include <map>

#include "base/error.h"

namespace hardmoe {

StepPlan::StepPlan(const Network& network, const CompileOptions& options)
    : network_(network),
      options_(options),
      lowered_(lower(network)),
      training_(options.mode == Mode::train),
      value_buffers_(network.values.size(), -1),
      value_gradients_(network.values.size()) {
  if (options.batch < 1) fail_usage("batch: expected at least 1, found {}", options.batch);
  if (training_ && network.logits < 0) fail("a network without logits cannot be trained");
}

// ---- nodes ----

void StepPlan::plan_nodes() {
  plan_input();
  for (const Node& node : lowered_.nodes) plan_forward(node);
  if (training_) {
    leave_gradient(network_.logits, plan_loss());
    for (size_t i = lowered_.nodes.size(); i-- > 0;) plan_backward(lowered_.nodes[i]);
  } else {  // results are read after the last step
    for (const int value : {network_.feature, network_.logits}) {
      if (value >= 0) use_value(value);
    }
  }
}

void StepPlan::plan_forward(const Node& node) {
  switch (node.kind) {
    case NodeKind::conv:
      return plan_conv(node);
    case NodeKind::norm:
      return plan_norm(node);
    case NodeKind::max_pool:
      return plan_max_pool(node);
    case NodeKind::global_avg_pool:
      return plan_average_pool(node);
    case NodeKind::linear:
      return plan_linear(node);
  }
}

void StepPlan::plan_backward(const Node& node) {
  if (value_gradients_[index(node.output)].empty()) return;  // nothing downstream is trained
  switch (node.kind) {
    case NodeKind::conv:
      return plan_conv_backward(node);
    case NodeKind::norm:
      return plan_norm_backward(node);
    case NodeKind::max_pool:
      return plan_max_pool_backward(node);
    case NodeKind::global_avg_pool:
      return plan_average_pool_backward(node);
    case NodeKind::linear:
      return plan_linear_backward(node);
  }
}

ParameterSpec StepPlan::parameter(const Node& node, const char* suffix) const {
  const auto specs = parameters_of(network_);
  return *std::find_if(specs.begin(), specs.end(), [&](const ParameterSpec& spec) {
    return spec.name == node.op.name + suffix;
  });
}

// ---- gradients ----

/// Adds up the gradients of a value that more than `most` readers left.
void StepPlan::merge_gradient(int value, size_t most) {
  auto& pieces = value_gradients_[index(value)];
  while (pieces.size() > most) {
    const BufferId piece = use(pieces.back());
    pieces.pop_back();
    plan_add(value, use(pieces.back()), piece);
  }
}

StepPlan::BufferId StepPlan::gradient_of(int value) {
  merge_gradient(value, 1);
  return use(value_gradients_[index(value)][0]);
}

std::pair<StepPlan::BufferId, StepPlan::BufferId> StepPlan::gradient_pieces(int value) {
  merge_gradient(value, 2);
  const auto& pieces = value_gradients_[index(value)];
  return {use(pieces[0]), pieces.size() > 1 ? use(pieces[1]) : -1};
}

StepPlan::BufferId StepPlan::new_gradient(int value) {
  const BufferId piece = new_buffer(activation_bytes(value));
  leave_gradient(value, piece);
  return piece;
}

void StepPlan::leave_gradient(int value, BufferId piece) {
  value_gradients_[index(value)].push_back(piece);
}

// ---- steps ----

StepPlan::BufferId StepPlan::new_buffer(int64_t bytes) {
  const int now = static_cast<int>(planned_.size());
  lifetimes_.push_back({bytes, now, now});
  return static_cast<BufferId>(lifetimes_.size()) - 1;
}

StepPlan::BufferId StepPlan::use(BufferId buffer) {
  lifetimes_[index(buffer)].last = static_cast<int>(planned_.size());
  return buffer;
}

void StepPlan::plan(const char* name, std::function<Work(int)> make) {
  planned_.push_back({name, std::move(make)});
}

void StepPlan::plan(const char* name, std::function<Work()> make) {
  planned_.push_back({name, [make = std::move(make)](int) { return make(); }});
}

void StepPlan::bind_steps(int slots) {
  steps_.clear();
  for (const auto& [name, make] : planned_) {
    Step step{name, {}};
    for (int slot = 0; slot < slots; ++slot) step.work.push_back(make(slot));
    steps_.push_back(std::move(step));
  }
}

std::vector<ProfileLine> StepPlan::profile_of(const std::vector<ProfileLine>& more) const {
  std::map<std::string, double> seconds;
  for (const ProfileLine& line : more) seconds[line.name] += line.seconds;
  for (const Step& step : steps_) seconds[step.name] += step.seconds;
  std::vector<ProfileLine> lines;
  for (const auto& [name, value] : seconds) lines.push_back({name, value});
  std::stable_sort(lines.begin(), lines.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return lines;
}

void StepPlan::require_training(const char* call) const {
  if (!training_) fail("{} on a program compiled for inference", call);
}

void StepPlan::require_inference(const char* call) const {
  if (training_) fail("{} on a program compiled for training", call);
}

}  // namespace hardmoe
