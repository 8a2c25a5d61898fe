// The plan of one step, made once for all engines: steps in order, forwards then backwards; the
// buffers each reads and writes and how long those live; the pieces that add up to a value's
// gradient. Operators write it through NodePlan (engine/ops/); an engine says how many bytes things
// take and makes the work of each step. Host-side, no device.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/graph.h"
#include "engine/memory_plan.h"

namespace hardmoe {

/// Number of a buffer; -1: none.
using BufferId = int;

struct Buffer {
  Element element = Element::working;
  int64_t bytes = 0;
  int first = 0, last = 0;  ///< the steps during which it is alive, both included
};

/// What a step of a node does.
enum class Pass {
  input,    ///< takes the batch into value 0; of no node
  convert,  ///< float32 x to working precision y; of no node
  add,      ///< dy += dy2; of no node
  forward,
  backward,          ///< gradients of inputs, and of parameters where there are any
  backward_weights,  ///< gradients of the parameters alone
  backward_data,     ///< gradients of the inputs alone
};

/// A step of a node, and the buffers it reads and writes: y from x forwards, dx from dy backwards.
struct Step {
  const char* name;  ///< in profiles: "convolution forward"
  Pass pass;
  int node = -1;  ///< of the graph
  std::vector<BufferId> x = {};
  BufferId y = -1;
  BufferId dy = -1;
  BufferId dy2 = -1;  ///< a second piece that is still to be added to dy
  std::vector<BufferId> dx = {};
  BufferId saved = -1;  ///< what the forward step leaves for the backward one
};

/// What the plan asks an engine.
class PlanSizes {
 public:
  virtual ~PlanSizes() = default;
  /// Bytes of all planned rows of a value, its elements held as `element`.
  virtual int64_t value_bytes(int value, Element element) const = 0;
  /// Bytes that a node keeps from its forward to its backward step, beside values.
  virtual int64_t saved_bytes(int node) const = 0;
};

class Plan {
 public:
  Plan(const Graph& graph, const CompileOptions& options, const PlanSizes& sizes);

  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Buffer>& buffers() const { return buffers_; }
  const Buffer& buffer(BufferId id) const { return buffers_[static_cast<size_t>(id)]; }
  /// Where a value lies after its operator's forward step.
  BufferId buffer_of(int value) const { return value_buffers_[static_cast<size_t>(value)]; }

 private:
  friend class NodePlan;
  BufferId new_buffer(Element element, int64_t bytes);
  BufferId use(BufferId buffer);
  BufferId use_value(int value) { return use(buffer_of(value)); }
  BufferId new_value(int value);
  void merge_gradient(int value, size_t most);

  const Graph& graph_;
  const PlanSizes& sizes_;
  bool training_, bf16_;
  std::vector<Step> steps_;
  std::vector<Buffer> buffers_;
  std::vector<BufferId> value_buffers_;    ///< by value
  std::vector<BufferId> working_buffers_;  ///< by value: its copy in working precision
  std::vector<BufferId> saved_buffers_;    ///< by node
  std::vector<bool> shared_;               ///< by value: another value lies in the same buffer
  std::vector<std::vector<BufferId>> gradients_;  ///< by value: pieces to add
};

/// How long each buffer lives, for plan_memory().
std::vector<Lifetime> lifetimes_of(const Plan& plan);

/// One node's view of the plan. The buffers that are asked for belong to the step that is added
/// next: they live from the step that first writes them to the last that reads them.
class NodePlan {
 public:
  NodePlan(Plan& plan, int node);

  bool training() const { return plan_.training_; }
  size_t inputs() const { return node_.inputs.size(); }

  // Forwards.
  BufferId input(size_t i);
  /// The input in working precision: a copy where it is held as float32, made once for all readers.
  BufferId working_input(size_t i);
  BufferId new_output();
  /// The output in the place of the input where nobody else needs that, in inference; else anew.
  BufferId output_in_place_of(size_t i);
  /// The output is the input, seen as another type.
  void share_input(size_t i);
  /// What is kept for the backward step; -1 in inference, or if the engine keeps nothing.
  BufferId saved();

  // Backwards.
  /// Whether parameters of the node itself are trained; whether the input's gradient is needed.
  bool trains() const;
  bool needs_gradient(size_t i) const;
  BufferId output();
  /// The gradient of the output, its pieces added up; as two that are still to be added, the second
  /// -1 where there is one.
  BufferId gradient();
  std::pair<BufferId, BufferId> gradient_pieces();
  /// A new piece of an input's gradient, which the step writes.
  BufferId new_gradient(size_t i);
  /// A buffer of the input's gradient that is not yet one of its pieces.
  BufferId new_gradient_buffer(size_t i);
  /// Makes a buffer that now holds a piece of the input's gradient one of them.
  void leave_gradient(size_t i, BufferId piece);

  /// Adds a step of the node.
  void add(Step step);

 private:
  int input_value(size_t i) const { return node_.inputs[i]; }
  Plan& plan_;
  int number_;
  const Node& node_;
};

}  // namespace hardmoe
