// A network compiled for a GPU. See engine/engine.h for what a Program promises. Everything of a
// step is enqueued on the GPU's compute queue, in one order; the only other queue brings batches.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "engine/cuda/device.h"
#include "engine/cuda/input_slots.h"
#include "engine/cuda/parameters.h"
#include "engine/engine.h"
#include "engine/step_plan.h"

namespace hardmoe::cuda {

class CudaProgram final : public Program, private StepPlan {
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
  void send(const Batch& batch) override;
  void receive(std::span<float> features, std::span<float> logits) override;
  int most_in_flight() const override { return InputSlots::count; }
  void set_profiling(bool on) override;
  std::vector<ProfileLine> profile() const override;
  int64_t memory_bytes() const override;

 private:
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
  void plan_input() override;
  void plan_conv(const Node& node) override;
  void plan_norm(const Node& node) override;
  void plan_norm_statistics(const Node& node, const Norm& norm, BufferId x);
  void plan_max_pool(const Node& node) override;
  void plan_average_pool(const Node& node) override;
  void plan_linear(const Node& node) override;
  BufferId plan_loss() override;
  void plan_conv_backward(const Node& node) override;
  void plan_norm_backward(const Node& node) override;
  void plan_max_pool_backward(const Node& node) override;
  void plan_average_pool_backward(const Node& node) override;
  void plan_linear_backward(const Node& node) override;
  void plan_add(int value, BufferId into, BufferId piece) override;
  int64_t activation_bytes(int value) const override {
    return elements(value) * (options_.precision == Precision::bf16 ? 2 : 4);
  }
  void plan_update();
  void take_memory();
  void warm_up();
  void clear();
  void record_graphs();

  MaxPool max_pool_of(const Node& node) const;
  void need_workspace(int64_t bytes) { workspace_bytes_ = std::max(workspace_bytes_, bytes); }

  int64_t channels(int value) const { return held_channels_[index(value)]; }
  /// Elements of a value as it is held, of all rows.
  int64_t elements(int value) const {
    return options_.batch * extent(value).height * extent(value).width * channels(value);
  }
  Precision activation_precision() const {
    return options_.precision == Precision::bf16 ? Precision::bf16 : Precision::fp32;
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
  std::vector<int> results() const;
  void make_slots(int64_t most_tags);

  std::shared_ptr<Device> device_;
  Gpu& gpu_;

  std::vector<int64_t> held_channels_;  // by value
  Parameters parameters_;
  std::vector<std::unique_ptr<ConvLayer>> convs_;      // by node; null for others
  std::vector<std::unique_ptr<LinearLayer>> linears_;  // by node; null for others
  std::vector<std::unique_ptr<Norm>> norms_;           // by node; null for others
  std::vector<BufferId> pool_indices_;                 // by node
  std::vector<int64_t> sums_at_;  // by value: floats into states_ of its channels' sums; -1: none
  int64_t state_floats_ = 0;

  std::vector<BufferId> narrow_buffers_;  // by value: features as linears read them
  MemoryPlan memory_plan_;
  int64_t workspace_bytes_ = 0;

  // Device memory: parameter arrays, their bf16 copies, what norms keep, temporaries.
  Memory weights_, gradients_, first_moment_, second_moment_, average_, copies_;
  Memory states_, arena_, workspace_;
  Memory loss_;         // row losses, then their sum since it was last taken
  Memory loss_result_;  // pinned
  std::unique_ptr<InputSlots> slots_;

  /// A batch on its way through the network, by the slot it was sent to.
  struct Sent {
    Memory results;            // pinned: the values of results(), as they are held
    std::vector<float> input;  // rows, where they are the features
    std::unique_ptr<OwnedEvent> done;
    int64_t rows = 0;
  };
  std::vector<Sent> sent_;     // by slot; in inference
  std::deque<int> in_flight_;  // slots, first sent first

  std::vector<OwnedEvent> marks_;  // between steps; only while profiling
  bool profiling_ = false;
  int64_t step_ = 0;
  int64_t loss_steps_ = 0;
  std::vector<std::unique_ptr<RecordedGraph>> graphs_;  // by slot; last, so that they go first
};

}  // namespace hardmoe::cuda
