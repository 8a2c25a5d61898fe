// The plan of one step, which all engines make alike: nodes in order, then back again; a buffer
// with a lifetime for every temporary; the pieces that make up each value's gradient. An engine
// derives from it and says what the work of each node is. Host-side, no device.
#pragma once

#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/lowering.h"
#include "engine/memory_plan.h"
#include "engine/work.h"

namespace hardmoe {

class StepPlan {
 protected:
  using BufferId = int;

  struct Step {
    const char* name;
    std::vector<Work> work;  ///< by slot
    double seconds = 0;
  };

  /// Throws Error for a batch of no rows, and if a network without logits is to be trained.
  StepPlan(const Network& network, const CompileOptions& options);
  virtual ~StepPlan() = default;

  // What an engine plans: a value's buffer in value_buffers_, and steps that fill it. Backwards, it
  // asks for the gradient of the node's output and leaves pieces of those of its inputs.
  virtual void plan_input() = 0;
  virtual void plan_conv(const Node& node) = 0;
  virtual void plan_norm(const Node& node) = 0;
  virtual void plan_max_pool(const Node& node) = 0;
  virtual void plan_average_pool(const Node& node) = 0;
  virtual void plan_linear(const Node& node) = 0;
  /// Returns the gradient of the logits.
  virtual BufferId plan_loss() = 0;
  virtual void plan_conv_backward(const Node& node) = 0;
  virtual void plan_norm_backward(const Node& node) = 0;
  virtual void plan_max_pool_backward(const Node& node) = 0;
  virtual void plan_average_pool_backward(const Node& node) = 0;
  virtual void plan_linear_backward(const Node& node) = 0;
  /// Adds `piece` of the value's gradient to `into`.
  virtual void plan_add(int value, BufferId into, BufferId piece) = 0;
  /// Of a value or its gradient, all rows.
  virtual int64_t activation_bytes(int value) const = 0;

  /// Plans all of the above: forwards and, in training, backwards.
  void plan_nodes();
  /// Makes the planned steps' work, once buffers have their places: for each of `slots` that input
  /// may come from.
  void bind_steps(int slots);

  /// A temporary of the step that is planned next.
  BufferId new_buffer(int64_t bytes);
  /// The step that is planned next reads or writes it too.
  BufferId use(BufferId buffer);
  BufferId use_value(int value) { return use(value_buffers_[index(value)]); }
  /// A buffer for the value; the step that is planned next fills it.
  BufferId new_value(int value, int64_t bytes) {
    return value_buffers_[index(value)] = new_buffer(bytes);
  }
  /// What a step will do is known when it is planned; where its data lie, only once all are. `make`
  /// is called then, for each slot, and returns the work.
  void plan(const char* name, std::function<Work(int slot)> make);
  void plan(const char* name, std::function<Work()> make);

  /// The value's gradient, its pieces added up, for the step that is planned next.
  BufferId gradient_of(int value);
  /// The same as two pieces that are still to be added; the second is -1 where there is one.
  std::pair<BufferId, BufferId> gradient_pieces(int value);
  /// A new piece of the value's gradient.
  BufferId new_gradient(int value);
  void leave_gradient(int value, BufferId piece);

  /// Seconds by name, most first.
  std::vector<ProfileLine> profile_of(const std::vector<ProfileLine>& more) const;
  void require_training(const char* call) const;
  void require_inference(const char* call) const;

  static size_t index(int number) { return static_cast<size_t>(number); }
  size_t place_of(const Node& node) const {
    return static_cast<size_t>(&node - lowered_.nodes.data());
  }
  const Extent& extent(int value) const { return network_.values[index(value)]; }
  ParameterSpec parameter(const Node& node, const char* suffix) const;

  Network network_;
  CompileOptions options_;
  Lowered lowered_;
  bool training_;
  std::vector<Lifetime> lifetimes_;      ///< by buffer
  std::vector<BufferId> value_buffers_;  ///< by value
  std::vector<Step> steps_;

 private:
  struct PlannedStep {
    const char* name;
    std::function<Work(int slot)> make;
  };
  void plan_forward(const Node& node);
  void plan_backward(const Node& node);
  void merge_gradient(int value, size_t most);

  std::vector<PlannedStep> planned_;
  std::vector<std::vector<BufferId>> value_gradients_;  ///< by value: pieces to add
};

}  // namespace hardmoe
