// A node made ready on a GPU: its parameters placed, its plans chosen, the work of its steps. Each
// operator has one, made by its make_layer() in cuda/<op>.{cpp,cu}. Everything is enqueued on the
// compute queue.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "engine/cuda/device.h"
#include "engine/cuda/input_slots.h"
#include "engine/cuda/parameters.h"
#include "engine/plan.h"
#include "engine/work.h"

namespace hardmoe::cuda {

/// Where everything lies, once device memory is taken.
class Arrays {
 public:
  virtual ~Arrays() = default;
  virtual void* at(BufferId buffer) const = 0;
  /// The buffer with its element type; empty for -1.
  virtual Activations activations(BufferId buffer) const = 0;
  float* floats(BufferId buffer) const { return static_cast<float*>(at(buffer)); }
  virtual float* weights(int parameter) const = 0;
  virtual float* gradient(int parameter) const = 0;
  /// Weights as products read them: in working precision.
  virtual void* working_weights(int parameter) const = 0;
  /// Floats that a layer asked for with LayerBuilder::add_state().
  virtual float* state(int64_t offset) const = 0;
  /// Room for temporaries of one piece of work at a time.
  virtual float* workspace() const = 0;
  /// Doubles of a loss: of each row, then their sum over steps.
  virtual double* row_losses() const = 0;
  virtual double* loss_sum(int loss) const = 0;
  virtual const InputSlots& input() const = 0;
  virtual Stream stream() const = 0;
};

class Layer {
 public:
  virtual ~Layer() = default;
  /// Bytes that the forward step leaves for the backward one (NodePlan::saved).
  virtual int64_t saved_bytes() const { return 0; }
  /// Enqueues what follows from new weights.
  virtual void refresh(const Arrays&) {}
  /// The work of one of its steps, for batches from `slot` of the input.
  virtual Work work(const Step& step, const Arrays& arrays, int slot) = 0;
};

/// What all layers of a program share while it is compiled.
struct Compilation {
  const Graph& graph;
  const CompileOptions& options;
  Device& device;
  std::vector<int64_t> held_channels;  ///< by value
  Parameters parameters;
  int64_t workspace_bytes = 0;
  int64_t state_floats = 0;
  /// By value: the state where a convolution leaves the sums of its output's channels; -1: nowhere.
  std::vector<int64_t> channel_sums;
};

/// What a layer is made from: its node, and what it asks of the program that is being compiled.
class LayerBuilder {
 public:
  LayerBuilder(Compilation& compilation, int node);

  const std::string& name() const { return node_.name; }
  const Graph& graph() const { return shared_.graph; }
  const CompileOptions& options() const { return shared_.options; }
  Device& device() const { return shared_.device; }
  int input_value(size_t i = 0) const { return node_.inputs[i]; }
  int output_value() const { return node_.output; }
  const ValueType& input(size_t i = 0) const { return graph().type(input_value(i)); }
  const ValueType& output() const { return graph().type(output_value()); }
  size_t inputs() const { return node_.inputs.size(); }
  /// Rows of the first input in a batch.
  int64_t rows() const { return input().planned_rows(options().batch); }
  /// Channels a value is held with; added ones are zero and stay so.
  int64_t held(int value) const { return shared_.held_channels[static_cast<size_t>(value)]; }
  /// Elements of all rows of the output as held.
  int64_t held_elements() const {
    return output().planned_rows(options().batch) * output().extent.positions() *
           held(output_value());
  }
  bool training() const { return options().mode == Mode::train; }
  bool is_bf16() const { return options().precision == Precision::bf16; }
  /// Of activations in memory: fp32 or bf16.
  Precision working_precision() const { return is_bf16() ? Precision::bf16 : Precision::fp32; }
  bool trains() const { return graph().trained_nodes[static_cast<size_t>(number_)]; }
  bool needs_gradient(size_t i = 0) const {
    return training() && graph().trained_values[static_cast<size_t>(input_value(i))];
  }

  /// Adds the node's parameter with this suffix, ".weight", held with `out` × `in` channels (1 for
  /// a vector) and `window` positions, and returns its number.
  int parameter(const char* suffix, int64_t out, int64_t in = 1, int64_t window = 1);
  void need_workspace(int64_t bytes) {
    shared_.workspace_bytes = std::max(shared_.workspace_bytes, bytes);
  }
  /// Asks for floats that stay from step to step; returns their offset.
  int64_t add_state(int64_t floats);
  /// The state of a value's channel sums; -1: none are left.
  int64_t& channel_sums(int value) { return shared_.channel_sums[static_cast<size_t>(value)]; }

 private:
  Compilation& shared_;
  int number_;
  const Node& node_;
};

/// Channels each value is held with: an image's 4, which cuDNN's kernels for first layers take, all
/// others in multiples of 8, 128 bits of bf16. Networks of the usual widths have nothing added.
/// Throws Error for an operator that would join two values held differently.
std::vector<int64_t> held_channels(const Graph& graph);

}  // namespace hardmoe::cuda
