// A node compiled for a GPU: it adds the node's parameters, chooses algorithms, and gives the work
// of its steps. Each operator has a Layer, made by its make_layer() in cuda/<op>.{cpp,cu}. All work
// is enqueued on the compute queue.
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

/// Device addresses of a program's arrays. All but input() are valid as long as the program.
class Arrays {
 public:
  virtual ~Arrays() = default;
  /// Returns the address of a buffer, which must not be -1.
  virtual void* at(BufferId buffer) const = 0;
  /// Returns the buffer's address with its precision; empty for -1.
  virtual Activations activations(BufferId buffer) const = 0;
  float* floats(BufferId buffer) const { return static_cast<float*>(at(buffer)); }
  /// Returns a parameter, by the number that LayerBuilder::parameter() returned.
  virtual float* weights(int parameter) const = 0;
  /// Returns a parameter's gradient, in the same layout.
  virtual float* gradient(int parameter) const = 0;
  /// Returns a parameter in working precision (fp32 or bf16), for matrix products and convolutions.
  virtual void* working_weights(int parameter) const = 0;
  /// Returns the floats at an offset that LayerBuilder::add_state() returned.
  virtual float* state(int64_t offset) const = 0;
  /// Returns memory for temporaries, as large as the largest LayerBuilder::need_workspace(). All
  /// works share it; nothing in it outlives one work.
  virtual float* workspace() const = 0;
  /// Returns N doubles for the losses of single rows.
  virtual double* row_losses() const = 0;
  /// Returns the double to which loss number `loss` adds each batch's mean.
  virtual double* loss_sum(int loss) const = 0;
  /// Returns the slots that hold the batches. Their addresses change when slots grow; then work()
  /// is called again.
  virtual const InputSlots& input() const = 0;
  virtual Stream stream() const = 0;
};

class Layer {
 public:
  virtual ~Layer() = default;
  /// Returns the bytes that the forward step keeps for the backward step (NodePlan::saved).
  virtual int64_t saved_bytes() const { return 0; }
  /// Enqueues what must be computed from loaded weights. Called after load_weights() only, not
  /// after an update as the CPU's is: the update itself renews working_weights().
  virtual void refresh(const Arrays&) {}
  /// Returns the work of one of the node's steps, for batches in input slot `slot`.
  virtual Work work(const Step& step, const Arrays& arrays, int slot) = 0;
};

/// What the layers of a program share while it is compiled.
struct Compilation {
  const Graph& graph;
  const CompileOptions& options;
  Device& device;
  std::vector<int64_t> held_channels;  ///< by value: channels in memory, see held_channels()
  Parameters parameters;
  int64_t workspace_bytes = 0;
  int64_t state_floats = 0;
  /// By value: offset of the state to which the convolution that computes the value writes Σx of
  /// each channel, then Σx² of each, for the batch norm that reads it; -1: it does not.
  std::vector<int64_t> channel_sums;
};

/// What make_layer() is given: facts about the node, and ways to ask for parameters and memory.
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
  /// Returns the planned rows of the first input.
  int64_t rows() const { return input().planned_rows(options().batch); }
  /// Returns a value's channels in memory. Those added as padding must always be written as zero.
  int64_t held(int value) const { return shared_.held_channels[static_cast<size_t>(value)]; }
  /// Returns the elements of the output's planned rows in memory, padding channels included.
  int64_t held_elements() const {
    return output().planned_rows(options().batch) * output().extent.positions() *
           held(output_value());
  }
  bool training() const { return options().mode == Mode::train; }
  bool is_bf16() const { return options().precision == Precision::bf16; }
  /// Returns the precision of activations in memory: fp32 (for tf32 too) or bf16.
  Precision working_precision() const { return is_bf16() ? Precision::bf16 : Precision::fp32; }
  /// Returns whether a parameter of the node is trained; false in inference.
  bool trains() const { return graph().trained_nodes[static_cast<size_t>(number_)]; }
  /// Returns whether the input's gradient is needed; false in inference.
  bool needs_gradient(size_t i = 0) const {
    return training() && graph().trained_values[static_cast<size_t>(input_value(i))];
  }

  /// Adds the node's parameter with this suffix, such as ".weight", and returns its number. In
  /// memory it has `out` × `in` channels, padding included (`in` is 1 for a vector), and `window`
  /// positions.
  int parameter(const char* suffix, int64_t out, int64_t in = 1, int64_t window = 1);
  /// Asks for that many bytes of workspace.
  void need_workspace(int64_t bytes) {
    shared_.workspace_bytes = std::max(shared_.workspace_bytes, bytes);
  }
  /// Asks for floats that keep their values from step to step; returns their offset for
  /// Arrays::state().
  int64_t add_state(int64_t floats);
  /// Returns the entry of Compilation::channel_sums for a value.
  int64_t& channel_sums(int value) { return shared_.channel_sums[static_cast<size_t>(value)]; }

 private:
  Compilation& shared_;
  int number_;
  const Node& node_;
};

/// Returns the channels of each value in memory: 4 for an image (3 and padding), which cuDNN's
/// kernels for first layers take, otherwise the next multiple of 8, which is 128 bits of bf16.
/// Usual widths need no padding. Throws Error for the addition of two inputs of different channels in
/// memory.
std::vector<int64_t> held_channels(const Graph& graph);

}  // namespace hardmoe::cuda
