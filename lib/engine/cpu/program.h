// A network compiled for the CPU. See engine/engine.h for what a Program promises.
#pragma once

#include <memory>
#include <vector>

#include "engine/cpu/layer.h"
#include "engine/engine.h"
#include "engine/memory_plan.h"

namespace hardmoe::cpu {

class CpuProgram final : public Program, private PlanSizes, private Arrays {
 public:
  CpuProgram(const Network& network, const CompileOptions& options);

  void load_weights(const StateDict& weights, const std::string& where) override;
  StateDict weights() const override;
  StateDict averaged_weights() const override;
  StateDict optimizer_state() const override;
  void load_optimizer_state(const StateDict& state, const std::string& where) override;
  std::vector<double> take_losses() override;
  StateDict gradients() const override;
  void send(const Batch& batch) override;
  void receive(std::span<float> features, std::span<float> logits) override;
  int most_in_flight() const override { return 1; }
  void set_profiling(bool on) override { profiling_ = on; }
  std::vector<ProfileLine> profile() const override;
  int64_t memory_bytes() const override;

 private:
  bool do_step(const Batch& batch, float lr, const std::function<bool()>& give_up) override;

  // What the plan asks.
  int64_t value_bytes(int value, Element element) const override;
  int64_t saved_bytes(int node) const override;
  // Where things lie.
  std::byte* at(BufferId buffer) const override;
  Activations activations(BufferId buffer) const override;
  Scratch scratch() const override;
  float* weights(int parameter) const override;
  float* gradient(int parameter) const override;
  Running& running() const override { return running_; }

  // Compiling.
  void make_layers();
  void take_memory();
  void bind_steps();
  Work work_of(const Step& step);
  Work take_input(const Step& step);

  // Running.
  void reduce_gradients();
  void update(float lr);
  void update_range(float lr, int64_t begin, int64_t end);
  bool run_steps(const Batch& batch, const std::function<bool()>& give_up = {});
  bool trains_alone() const;
  void refresh_layers();

  Graph graph_;
  CompileOptions options_;
  bool training_;
  Parameters parameters_;
  size_t scratch_bytes_ = 0;
  std::vector<std::unique_ptr<Layer>> layers_;  ///< by node
  std::unique_ptr<Plan> plan_;
  MemoryPlan memory_plan_;
  std::vector<Work> work_;  ///< by step of the plan

  // Tensors of all parameters, then of temporaries. Work writes where it was bound to.
  mutable Tensor weights_, gradients_, arena_, scratch_;
  Tensor first_moment_, second_moment_, average_, origin_;
  mutable Running running_;
  int64_t step_ = 0;
  int64_t loss_steps_ = 0;
  int64_t sent_rows_ = 0;  ///< of the batch whose results were not received yet
  bool profiling_ = false;
  std::vector<double> seconds_;  ///< by step of the plan
  double update_seconds_ = 0;
};

}  // namespace hardmoe::cpu
