// A network compiled for a GPU. See engine/engine.h for what a Program promises. Everything of a
// step is enqueued on the GPU's compute queue, in one order; the only other queue brings batches.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/cuda/device.h"
#include "engine/cuda/input_slots.h"
#include "engine/cuda/parameters.h"
#include "engine/engine.h"
#include "engine/lowering.h"
#include "engine/memory_plan.h"

namespace hardmoe::cuda {

class CudaProgram final : public Program {
 public:
  CudaProgram(std::shared_ptr<Device> device, const Network& network,
              const CompileOptions& options);
  ~CudaProgram() override;
  CudaProgram(const CudaProgram&) = delete;
  CudaProgram& operator=(const CudaProgram&) = delete;

  void load_weights(const StateDict& weights, const std::string& where) override;
  StateDict weights() const override;
  StateDict averaged_weights() const override;
  StateDict optimizer_state() const override;
  void load_optimizer_state(const StateDict& state, const std::string& where) override;
  void train_step(const Batch& batch, float lr) override;
  double take_loss() override;
  StateDict gradients() const override;
  void infer(const Batch& batch, std::span<float> features, std::span<float> logits) override;
  void set_profiling(bool on) override;
  std::vector<ProfileLine> profile() const override;
  int64_t memory_bytes() const override;

 private:
  using BufferId = int;
  using Work = std::function<void()>;

  /// What a step will do is known when it is planned; where its data lie, only once all are. `make`
  /// is called then, once for each slot that input may come from, and returns the work.
  struct PlannedStep {
    const char* name;
    std::function<Work(int slot)> make;
  };
  struct Step {
    const char* name;
    std::vector<Work> work;  // by slot
    double seconds = 0;
  };
  struct ConvLayer {
    ConvShape shape;
    int weight;  // slot of the parameters
    std::shared_ptr<const ConvPlan> forward, data_gradient, weight_gradient;
    bool sums = false;  // forward leaves the sums of its output's channels
  };
  struct LinearLayer {
    int64_t in, out;   // held
    int weight, bias;  // slots of the parameters
    std::shared_ptr<const LinearPlan> forward, data_gradient, weight_gradient;
  };
  struct Norm {
    int gamma, beta, running_mean, running_var;  // slots of the parameters
    int64_t rows, channels;
    int64_t state_at = 0;  // in floats: mean, inverse deviation, scale, shift
    BufferId mask = -1;
  };

  // Compiling.
  void place_parameters();
  void place_conv(const Node& node);
  void place_linear(const Node& node);
  void place_norm(const Node& node);
  std::shared_ptr<const ConvPlan> conv_plan(const Node& node, const ConvShape& shape,
                                            ConvPass pass);
  void choose_forward(const Node& node, ConvLayer& layer);
  void plan_input();
  void plan_forward(const Node& node);
  void plan_conv(const Node& node, const ConvLayer& layer);
  void plan_norm(const Node& node, Norm& norm);
  void plan_norm_statistics(const Node& node, const Norm& norm, BufferId x);
  void plan_max_pool(const Node& node);
  void plan_average_pool(const Node& node);
  void plan_linear(const Node& node, const LinearLayer& layer);
  void plan_loss();
  void plan_backward(const Node& node);
  void plan_conv_backward(const Node& node, const ConvLayer& layer);
  void plan_norm_backward(const Node& node, const Norm& norm);
  void plan_linear_backward(const Node& node, const LinearLayer& layer);
  void plan_average_pool_backward(const Node& node);
  void plan_max_pool_backward(const Node& node);
  void merge_gradients(int value, size_t most);
  void plan_update();
  void take_memory();
  void bind_steps();
  void warm_up();
  void clear();
  void record_graphs();

  size_t place_of(const Node& node) const {
    return static_cast<size_t>(&node - lowered_.nodes.data());
  }
  MaxPool max_pool_of(const Node& node) const;
  ParameterSpec parameter(const Node& node, const char* suffix) const;
  static size_t index(int number) { return static_cast<size_t>(number); }
  BufferId new_buffer(int64_t bytes);
  BufferId use(BufferId buffer);
  void plan(const char* name, std::function<Work(int)> make);
  void plan(const char* name, std::function<Work()> make);
  void need_workspace(int64_t bytes) { workspace_bytes_ = std::max(workspace_bytes_, bytes); }

  const Extent& extent(int value) const { return network_.values[index(value)]; }
  int64_t channels(int value) const { return held_channels_[index(value)]; }
  /// Elements of a value as it is held, of all rows.
  int64_t elements(int value) const {
    return options_.batch * extent(value).height * extent(value).width * channels(value);
  }
  Precision activation_precision() const {
    return options_.precision == Precision::bf16 ? Precision::bf16 : Precision::fp32;
  }
  int64_t activation_bytes(int value) const {
    return elements(value) * (options_.precision == Precision::bf16 ? 2 : 4);
  }
  bool narrow() const { return options_.precision == Precision::bf16; }
  bool image() const { return network_.input == InputKind::image; }

  // Where things lie, once memory is taken.
  void* at(BufferId buffer) const;
  float* floats_at(BufferId buffer) const { return static_cast<float*>(at(buffer)); }
  Activations activations(BufferId buffer) const { return {at(buffer), activation_precision()}; }
  float* master(int slot) const { return weights_.as<float>() + parameters_.slot(slot).offset; }
  float* gradient(int slot) const { return gradients_.as<float>() + parameters_.slot(slot).offset; }
  /// Weights as products read them.
  void* working(int slot) const;
  NormState state_of(const Norm& norm) const;
  float* sums_of(int value) const;

  // Running.
  void run_steps(int slot);
  void refresh();
  std::vector<float> fetch(const Memory& array) const;
  void send(const Memory& array, std::span<const float> values) const;
  void copy_rows(int value, int64_t rows, std::span<float> out) const;
  void make_slots(int64_t most_tags);
  void require_training(const char* call) const;

  std::shared_ptr<Device> device_;
  Gpu& gpu_;
  Network network_;
  CompileOptions options_;
  Lowered lowered_;
  bool training_;

  std::vector<int64_t> held_channels_;  // by value
  Parameters parameters_;
  std::vector<std::unique_ptr<ConvLayer>> convs_;      // by node; null for others
  std::vector<std::unique_ptr<LinearLayer>> linears_;  // by node; null for others
  std::vector<std::unique_ptr<Norm>> norms_;           // by node; null for others
  std::vector<BufferId> pool_indices_;                 // by node
  std::vector<int64_t> sums_at_;  // by value: floats into states_ of its channels' sums; -1: none
  int64_t state_floats_ = 0;

  std::vector<PlannedStep> planned_;
  std::vector<Lifetime> lifetimes_;
  std::vector<BufferId> value_buffers_;                 // by value
  std::vector<BufferId> narrow_buffers_;                // by value: features as linears read them
  std::vector<std::vector<BufferId>> value_gradients_;  // by value: pieces to add
  MemoryPlan memory_plan_;
  int64_t workspace_bytes_ = 0;

  // Device memory: parameter arrays, their bf16 copies, what norms keep, temporaries.
  Memory weights_, gradients_, first_moment_, second_moment_, average_, copies_;
  Memory states_, arena_, workspace_;
  Memory loss_;         // row losses, then their sum since it was last taken
  Memory loss_result_;  // pinned
  Memory results_;      // pinned: features and logits, as they are held
  std::unique_ptr<InputSlots> slots_;

  std::vector<Step> steps_;
  std::vector<OwnedEvent> marks_;  // between steps; only while profiling
  bool profiling_ = false;
  int64_t step_ = 0;
  int64_t loss_steps_ = 0;
  std::vector<std::unique_ptr<RecordedGraph>> graphs_;  // by slot; last, so that they go first
};

}  // namespace hardmoe::cuda
