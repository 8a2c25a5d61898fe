// A node made ready on the CPU: its parameters placed, its primitives made, the work of its steps.
// Each operator has one, made by its make_layer() in cpu/<op>.cpp.
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

/// What changes from step to step.
struct Running {
  const Batch* batch = nullptr;   ///< of the step that runs
  std::vector<double> loss_sums;  ///< by loss: since they were last taken
};

/// Where everything lies, once memory is taken.
class Arrays {
 public:
  virtual ~Arrays() = default;
  virtual std::byte* at(BufferId buffer) const = 0;
  /// The buffer with its element type; empty for -1.
  virtual Activations activations(BufferId buffer) const = 0;
  float* floats(BufferId buffer) const { return reinterpret_cast<float*>(at(buffer)); }
  /// Room for temporaries of one piece of work at a time.
  virtual Scratch scratch() const = 0;
  virtual float* weights(int parameter) const = 0;
  virtual float* gradient(int parameter) const = 0;
  virtual Running& running() const = 0;
};

class Layer {
 public:
  virtual ~Layer() = default;
  /// Bytes that the forward step leaves for the backward one (NodePlan::saved).
  virtual int64_t saved_bytes() const { return 0; }
  /// Bytes of weights kept in other forms.
  virtual size_t copy_bytes() const { return 0; }
  /// Takes note of where the weights lie; once.
  virtual void place(const Arrays&) {}
  /// Takes note of new weights.
  virtual void refresh() {}
  /// The work of one of its steps.
  virtual Work work(const Step& step, const Arrays& arrays) = 0;
};

/// What a layer is made from: its node, and what it asks of the program that is being compiled.
class LayerBuilder {
 public:
  LayerBuilder(const Graph& graph, int node, const CompileOptions& options, Parameters& parameters,
               size_t& scratch_bytes);

  const std::string& name() const { return node_.name; }
  const ValueType& input(size_t i = 0) const { return graph_.type(node_.inputs[i]); }
  const ValueType& output() const { return graph_.type(node_.output); }
  /// Rows of the first input in a batch.
  int64_t rows() const { return input().planned_rows(options_.batch); }
  int64_t batch() const { return options_.batch; }
  Precision precision() const { return options_.precision; }
  bool training() const { return options_.mode == Mode::train; }
  /// Whether parameters of the node are trained; in inference none are.
  bool trains() const { return graph_.trained_nodes[static_cast<size_t>(number_)]; }
  onednn::Needs needs() const;

  /// Adds the node's parameter with this suffix, ".weight", and returns its number. Of weights,
  /// `held` is the layout in memory; `plain` PyTorch's, where that is not told by the shape.
  int parameter(const char* suffix, const onednn::Desc* held = nullptr,
                const onednn::Desc* plain = nullptr);
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
