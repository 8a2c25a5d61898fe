// The plan of a forward and backward pass, the same for all engines: its steps in order, forwards
// then backwards; the buffers that each reads and writes, and how long those live; and how a
// value's gradient is summed from one contribution by each reader. Operators add the steps through
// NodePlan (engine/ops/). An engine says how many bytes a buffer takes and does the work of each
// step. Uses no device.
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
  int first = 0, last = 0;  ///< its lifetime: numbers of steps, both included
};

/// What a step of a node does.
enum class Pass {
  input,    ///< writes the batch to value 0; belongs to no node
  convert,  ///< converts x, float32, to y in working precision; belongs to no node
  add,      ///< dy += dy2; belongs to no node
  forward,
  backward,          ///< gradients of the inputs (unless dx is empty) and of the parameters
  backward_weights,  ///< gradients of the parameters alone
  backward_data,     ///< gradients of the inputs alone
};

/// A step of a node, and the buffers it reads and writes: forwards it computes y from x, backwards
/// dx from dy.
struct Step {
  const char* name;  ///< in profiles: "convolution forward"
  Pass pass;
  int node = -1;  ///< number of the node; -1: none
  std::vector<BufferId> x = {};
  BufferId y = -1;
  BufferId dy = -1;
  BufferId dy2 = -1;  ///< if given, the output's gradient is dy + dy2
  std::vector<BufferId> dx = {};
  BufferId saved = -1;  ///< what the forward step keeps for the backward step
};

/// Sizes that depend on the engine.
class PlanSizes {
 public:
  virtual ~PlanSizes() = default;
  /// Returns the bytes of all planned rows of a value, with elements of type `element`.
  virtual int64_t value_bytes(int value, Element element) const = 0;
  /// Returns the bytes that a node keeps from its forward to its backward step, besides values.
  virtual int64_t saved_bytes(int node) const = 0;
};

class Plan {
 public:
  /// Plans the graph. A node has backward steps if a gradient of its output arrives and the output
  /// depends on a trained parameter. `graph` and `sizes` must outlive the plan.
  Plan(const Graph& graph, const CompileOptions& options, const PlanSizes& sizes);

  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Buffer>& buffers() const { return buffers_; }
  const Buffer& buffer(BufferId id) const { return buffers_[static_cast<size_t>(id)]; }
  /// Returns the buffer that holds a value after its node's forward step; -1 if fusion left the
  /// value out. Values may share a buffer.
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
  std::vector<bool> shared_;               ///< by value: whether it shares its buffer with another
  std::vector<std::vector<BufferId>> gradients_;  ///< by value: contributions not yet summed
};

/// Returns the size and lifetime of each buffer, for plan_memory().
std::vector<Lifetime> lifetimes_of(const Plan& plan);

/// What an operator's plan_forward() and plan_backward() see of the plan: one node. A call that
/// returns a buffer makes it live until the step that is added next. So an operator with two steps
/// must ask for a buffer again before the second, even if it gets the same number (ops/conv.cpp).
class NodePlan {
 public:
  NodePlan(Plan& plan, int node);

  bool training() const { return plan_.training_; }
  size_t inputs() const { return node_.inputs.size(); }

  // Forwards.
  /// Returns the buffer of an input. Also for a backward step; the input is then kept until there.
  BufferId input(size_t i);
  /// Returns the input in working precision. If it is float32 in a bf16 program, this is a copy;
  /// the step that makes it is added once, for all readers.
  BufferId working_input(size_t i);
  /// Returns a new buffer for the output.
  BufferId new_output();
  /// Returns the input's buffer, for the output to overwrite, if that is safe: in inference, if no
  /// later node reads the input, nor this one twice, it shares no buffer and is not a result. Else as
  /// new_output().
  BufferId output_in_place_of(size_t i);
  /// Makes the output share the input's buffer: the same elements, seen as another type. Needs no
  /// step.
  void share_input(size_t i);
  /// Returns the buffer that the forward step writes and the backward step reads, as large as the
  /// engine says (PlanSizes::saved_bytes); -1 in inference, or if that is 0 bytes.
  BufferId saved();

  // Backwards.
  /// Returns whether a parameter of the node itself is trained.
  bool trains() const;
  /// Returns whether the input's gradient is needed.
  bool needs_gradient(size_t i) const;
  /// Returns the buffer of the output, which is then kept until here.
  BufferId output();
  /// Returns the buffer of the output's gradient, after adding steps that sum its contributions.
  /// The node may overwrite it.
  BufferId gradient();
  /// Returns one or two buffers whose sum is the output's gradient; second: -1 if there is one. For
  /// operators that add the two themselves.
  std::pair<BufferId, BufferId> gradient_pieces();
  /// Returns a new buffer for a contribution to an input's gradient, in working precision whatever
  /// the input's type. Same as new_gradient_buffer() and leave_gradient().
  BufferId new_gradient(size_t i);
  /// Returns a new buffer of the same kind that does not contribute yet.
  BufferId new_gradient_buffer(size_t i);
  /// Adds a buffer, which the step writes, to the contributions to an input's gradient. Each buffer
  /// may be left for one input only.
  void leave_gradient(size_t i, BufferId piece);

  /// Adds a step, and sets its node.
  void add(Step step);

 private:
  int input_value(size_t i) const { return node_.inputs[i]; }
  Plan& plan_;
  int number_;
  const Node& node_;
};

}  // namespace hardmoe
