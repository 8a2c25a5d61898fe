// A network compiled for a GPU. See engine/engine.h for what a Program promises. Everything of a
// step is enqueued on the GPU's compute queue, in one order; the only other queue brings batches.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "engine/cuda/layer.h"
#include "engine/engine.h"
#include "engine/memory_plan.h"

namespace hardmoe::cuda {

class CudaProgram final : public Program, private PlanSizes, private Arrays {
 public:
  CudaProgram(std::shared_ptr<Device> device, const Network& network,
              const CompileOptions& options);
  ~CudaProgram() override;

  void load_weights(const StateDict& weights, const std::string& where) override;
  StateDict weights() const override;
  StateDict averaged_weights() const override;
  StateDict optimizer_state() const override;
  void load_optimizer_state(const StateDict& state, const std::string& where) override;
  std::vector<double> take_losses() override;
  StateDict gradients() const override;
  void send(const Batch& batch) override;
  void receive(std::span<float> features, std::span<float> logits) override;
  int most_in_flight() const override { return InputSlots::count; }
  void set_profiling(bool on) override;
  std::vector<ProfileLine> profile() const override;
  int64_t memory_bytes() const override;

 private:
  bool do_step(const Batch& batch, float lr, const std::function<bool()>& give_up) override;
  // What the plan asks.
  int64_t value_bytes(int value, Element element) const override;
  int64_t saved_bytes(int node) const override;
  // Where things lie.
  void* at(BufferId buffer) const override;
  Activations activations(BufferId buffer) const override;
  float* weights(int parameter) const override;
  float* gradient(int parameter) const override;
  void* working_weights(int parameter) const override;
  float* state(int64_t offset) const override { return states_.as<float>() + offset; }
  float* workspace() const override { return workspace_.as<float>(); }
  double* row_losses() const override;
  double* loss_sum(int loss) const override;
  const InputSlots& input() const override { return *slots_; }
  Stream stream() const override { return gpu_.compute(); }

  // Compiling.
  void make_layers();
  void take_memory();
  InputSlots::Row input_row() const;
  void make_slots(int64_t most_tags);
  void bind_work();
  Work work_of(const Step& step, int slot);
  Work take_input(const Step& step, int slot);
  Work reduce_gradients();
  Work update(int slot);
  void warm_up();
  void clear();
  void record_graphs();

  /// Elements of all planned rows of a value as it is held.
  int64_t elements(int value) const;
  int64_t held(int value) const { return compilation_.held_channels[index(value)]; }
  int64_t row_elements(int value) const { return graph_.type(value).extent.elements(); }
  bool is_bf16() const { return options_.precision == Precision::bf16; }
  /// Whether a result is a map of bf16; the others are float32.
  bool comes_as_bf16(int value) const {
    return is_bf16() && graph_.type(value).element == Element::working;
  }
  bool image() const { return graph_.network.input == InputKind::image; }
  bool several_processes() const {
    return options_.communicator != nullptr && options_.communicator->size() > 1;
  }
  static size_t index(int number) { return static_cast<size_t>(number); }

  // Running.
  void run_work(int slot);
  void refresh_layers();
  std::vector<float> fetch(const Memory& array) const;
  void store(const Memory& array, std::span<const float> values) const;
  std::vector<int> results() const;
  /// Bytes of a result's first `rows` rows, as it is held.
  int64_t result_bytes(int value, int64_t rows) const;

  /// The pieces of a step. Where there is one process, all are one recorded graph; else the middle
  /// one runs between two.
  enum class Piece { gradients, reduce, update };
  struct Task {
    const char* name;
    Piece piece;
    std::vector<Work> work;  ///< by slot
    double seconds = 0;      ///< while profiling
  };

  std::shared_ptr<Device> device_;
  Gpu& gpu_;
  CompileOptions options_;
  Graph graph_;
  bool training_;
  Compilation compilation_;
  std::vector<std::unique_ptr<Layer>> layers_;  ///< by node
  std::unique_ptr<Plan> plan_;
  MemoryPlan memory_plan_;
  std::vector<Task> tasks_;

  // Device memory: parameter arrays, their bf16 copies, what layers keep, temporaries.
  Memory weights_, gradients_, first_moment_, second_moment_, average_, origin_, copies_;
  Memory states_, arena_, workspace_;
  Memory losses_;         // of rows, then the sums of each loss since they were last taken
  Memory losses_result_;  // pinned
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

  std::vector<OwnedEvent> marks_;  // between tasks; only while profiling
  bool profiling_ = false;
  int64_t step_ = 0;
  int64_t loss_steps_ = 0;
  /// By slot: the graphs of the pieces that are recorded; last, so that they go first.
  std::vector<std::vector<std::unique_ptr<RecordedGraph>>> graphs_;
};

}  // namespace hardmoe::cuda
