// A node compiled for the CPU: it adds the node's parameters, makes its primitives, and gives the
// work of its steps. Each operator has a Layer, made by its make_layer() in cpu/<op>.cpp. The order
// of calls is make_layer(), saved_bytes(), place(), work(), refresh().
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "engine/cpu/kernels.h"
#include "engine/cpu/onednn.h"
#include "engine/cpu/parameters.h"
#include "engine/plan.h"
#include "engine/work.h"
#include "nn/batch.h"

namespace hardmoe::cpu {

/// What changes from one training step to the next.
struct Running {
  const Batch* batch = nullptr;   ///< the batch of the step that runs; null between steps
  uint32_t step = 0;              ///< its number since load_weights(), from 1
  std::vector<double> loss_sums;  ///< by loss: the sum of batches' mean losses since take_losses()
};

/// Addresses of a program's arrays, valid as long as the program.
class Arrays {
 public:
  virtual ~Arrays() = default;
  /// Returns the address of a buffer, which must not be -1.
  virtual std::byte* at(BufferId buffer) const = 0;
  /// Returns the buffer's address with its precision; empty for -1.
  virtual Activations activations(BufferId buffer) const = 0;
  float* floats(BufferId buffer) const { return reinterpret_cast<float*>(at(buffer)); }
  /// Returns memory for temporaries, as large as the largest LayerBuilder::need_scratch(). All
  /// works share it; nothing in it outlives one work.
  virtual Scratch scratch() const = 0;
  /// Returns a parameter, by the number that LayerBuilder::parameter() returned.
  virtual float* weights(int parameter) const = 0;
  /// Returns a parameter's gradient, in the same layout.
  virtual float* gradient(int parameter) const = 0;
  virtual Running& running() const = 0;
};

class Layer {
 public:
  virtual ~Layer() = default;
  /// Returns the bytes that the forward step keeps for the backward step (NodePlan::saved).
  virtual int64_t saved_bytes() const { return 0; }
  /// Returns the bytes of copies of the weights in other layouts or precisions.
  virtual size_t copy_bytes() const { return 0; }
  /// Tells the layer where the weights lie. Called once.
  virtual void place(const Arrays&) {}
  /// Tells the layer that the weights have changed: after load_weights() and after each update.
  virtual void refresh() {}
  /// Returns the work of one of the node's steps, with its arguments bound.
  virtual Work work(const Step& step, const Arrays& arrays) = 0;
};

/// What make_layer() is given: facts about the node, and ways to ask for parameters and scratch.
class LayerBuilder {
 public:
  LayerBuilder(const Graph& graph, int node, const CompileOptions& options, Parameters& parameters,
               size_t& scratch_bytes);

  const std::string& name() const { return node_.name; }
  const ValueType& input(size_t i = 0) const { return graph_.type(node_.inputs[i]); }
  const ValueType& output() const { return graph_.type(node_.output); }
  int output_value() const { return node_.output; }
  size_t inputs() const { return node_.inputs.size(); }
  /// Returns the planned rows of the first input.
  int64_t rows() const { return input().planned_rows(options_.batch); }
  int64_t batch() const { return options_.batch; }
  Precision precision() const { return options_.precision; }
  uint64_t seed() const { return options_.seed; }
  bool training() const { return options_.mode == Mode::train; }
  /// Returns whether a parameter of the node is trained; false in inference.
  bool trains() const { return graph_.trained_nodes[static_cast<size_t>(number_)]; }
  /// Returns which gradients are needed: of the node's parameters, and of its first input.
  onednn::Needs needs() const;

  /// Adds the node's parameter with this suffix, such as ".weight", and returns its number. For a
  /// matrix or kernel, `held` is its layout in memory, and `plain` PyTorch's layout if the shape
  /// does not imply it; for a vector both are null.
  int parameter(const char* suffix, const onednn::Desc* held = nullptr,
                const onednn::Desc* plain = nullptr) {
    return parameter_named(name() + suffix, held, plain);
  }
  /// The same for one with a name of its own.
  int parameter_named(const std::string& name, const onednn::Desc* held = nullptr,
                      const onednn::Desc* plain = nullptr);
  /// Asks for that many bytes of scratch.
  void need_scratch(size_t bytes) { scratch_bytes_ = std::max(scratch_bytes_, bytes); }

 private:
  const Graph& graph_;
  int number_;
  const Node& node_;
  const CompileOptions& options_;
  Parameters& parameters_;
  size_t& scratch_bytes_;
};

}  // namespace hardmoe::cpu
