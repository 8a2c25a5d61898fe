// A network compiled for the CPU. See engine/engine.h for what a Program promises.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "engine/cpu/convolution.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/parameters.h"
#include "engine/cpu/working_weights.h"
#include "engine/engine.h"
#include "engine/step_plan.h"

namespace hardmoe::cpu {

class CpuProgram final : public Program, private StepPlan {
 public:
  CpuProgram(const Network& network, const CompileOptions& options);

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
  int most_in_flight() const override { return 1; }
  void set_profiling(bool on) override { profiling_ = on; }
  std::vector<ProfileLine> profile() const override;
  int64_t memory_bytes() const override;

 private:
  /// What one batch norm keeps from its forward to its backward pass.
  struct NormState {
    std::vector<float> mean, variance, inverse, scale, shift;
    std::vector<double> workspace;
  };
  struct ConvLayer {
    std::unique_ptr<Convolution> convolution;
    int weight;  // slot
  };
  struct LinearLayer {
    onednn::Layer primitives;
    int weight, bias;  // slots
    WorkingWeights weights;
  };
  struct Norm {
    int gamma, beta, running_mean, running_var;
    NormState state;
  };

  // Compiling.
  void place_parameters();
  void place_conv(const Node& node);
  void place_linear(const Node& node);
  void place_norm(const Node& node);
  onednn::Needs needs_of(const Node& node) const;
  void plan_input() override;
  void plan_conv(const Node& node) override;
  void plan_norm(const Node& node) override;
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
  int64_t activation_bytes(int value) const override;
  void take_memory();

  Work call(const dnnl::primitive& primitive,
            const std::vector<std::pair<int, dnnl::memory>>& arguments) const;
  std::byte* at(BufferId buffer) const;
  Activations activations(BufferId buffer) const;
  dnnl::memory memory(const onednn::Desc& desc, BufferId buffer) const;
  Scratch scratch() const;
  void need_scratch(size_t bytes) { scratch_bytes_ = std::max(scratch_bytes_, bytes); }
  float* master(int slot) { return weights_.as<float>().data() + parameters_.slot(slot).offset; }
  float* gradient(int slot) {
    return gradients_.as<float>().data() + parameters_.slot(slot).offset;
  }

  // Running.
  void take_input(const Batch& batch);
  void run_steps();
  void refresh_working_weights();
  void update(float lr);

  Parameters parameters_;
  Tensor weights_, gradients_, first_moment_, second_moment_, average_;
  int64_t step_ = 0;
  std::vector<std::unique_ptr<ConvLayer>> convs_;      // by node; null for others
  std::vector<std::unique_ptr<LinearLayer>> linears_;  // by node; null for others
  std::vector<std::unique_ptr<Norm>> norms_;           // by node; null for others
  std::vector<onednn::MaxPool> pools_;                 // by node

  std::vector<BufferId> linear_inputs_;    // by node: working copy of a linear's input
  std::vector<BufferId> pool_workspaces_;  // by node
  MemoryPlan memory_plan_;
  Tensor arena_;
  Tensor scratch_;
  size_t scratch_bytes_ = 0;

  std::vector<int32_t> tag_ptr_, tag_ids_;
  std::vector<double> row_loss_;
  double loss_sum_ = 0;
  int64_t loss_steps_ = 0;
  int64_t sent_rows_ = 0;  // of the batch whose results were not received yet
  bool profiling_ = false;
  double update_seconds_ = 0;
  double input_seconds_ = 0;
};

}  // namespace hardmoe::cpu
