// Compiles a network for a device and runs it. An Engine is a device (the CPU, one GPU); a Program
// is a network compiled for it: every primitive is made once, and memory is planned once. After
// compile() a step allocates no device memory, except that a GPU's input slots grow when a batch
// has more tags than any before. On a GPU a call waits only for a free input slot, or for a result
// that is asked for. Nothing above this header knows which engine runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/communicator.h"
#include "engine/spec.h"
#include "nn/batch.h"
#include "nn/network.h"
#include "tensor/safetensors.h"

namespace hardmoe {

enum class Mode {
  train,  ///< batch statistics, gradients, updates; train_step() only
  infer,  ///< running statistics; send() and receive() only
};

struct CompileOptions {
  int64_t batch = 128;  ///< capacity N; train_step() takes exactly N rows, send() up to N
  Precision precision = Precision::fp32;
  Mode mode = Mode::train;
  /// In training: the objective is the sum of these losses, each times its weight.
  std::vector<LossSpec> losses = {{}};
  OptimizerSpec optimizer = {};
  /// The same steps give the same bytes every time; slower if the fastest algorithm does not
  /// guarantee that.
  bool deterministic = false;
  /// Patterns of names of parameters that are not trained, where * stands for any characters:
  /// "layer1.*". They get no gradient and no update. Operators that depend on no trained parameter
  /// have no backward pass. A batch norm whose weight and bias are both frozen uses its running
  /// statistics, and does not change them.
  std::vector<std::string> frozen = {};
  /// Patterns, as `frozen`, of parameters that learn at slow_factor times the learning rate.
  std::vector<std::string> slow = {};
  float slow_factor = 1;
  /// What operators draw by in training (engine/gate_noise.h): the same seed gives the same draws, in
  /// a run that was interrupted and resumed too.
  uint64_t seed = 0;
  /// The processes that train together, each on batches of its own; gradients are averaged over
  /// them between backward pass and update. Null: this process alone.
  std::shared_ptr<Communicator> communicator = {};
};

/// One line of a profile: seconds spent in the plan's steps of this name (engine/plan.h), or in
/// the update, while profiling was on.
struct ProfileLine {
  std::string name;
  double seconds;
};

class Program {
 public:
  explicit Program(const CompileOptions& options) : losses_(options.losses) {}
  virtual ~Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Sets parameters and running statistics, by PyTorch's names and in its layouts. Ignores tensors
  /// the network does not have. Resets the optimiser's state, the averaged weights and those pulled
  /// to (to these weights) and the losses, and drops batches whose results were not received.
  /// `where` names the source in errors. Throws Error naming `where` and the tensor that is missing
  /// or of another shape.
  virtual void load_weights(const StateDict& weights, const std::string& where) = 0;
  /// Returns parameters and running statistics as float32, by PyTorch's names and in its layouts.
  virtual StateDict weights() const = 0;
  /// Returns the exponential moving average of weights(); weights() itself if averaging is off.
  virtual StateDict averaged_weights() const = 0;

  /// Returns everything but weights() that the next step depends on, for checkpoints: moments,
  /// averages, the weights that OptimizerSpec::pull pulls to, the step count. Throws Error unless
  /// compiled for training.
  virtual StateDict optimizer_state() const = 0;
  /// Sets what optimizer_state() returned. Call it after load_weights(), which resets it. Throws as
  /// load_weights() and optimizer_state() do.
  virtual void load_optimizer_state(const StateDict& state, const std::string& where) = 0;

  /// Trains on one full batch with learning rate `lr`: gradients (forward, losses, backward), their
  /// average over all processes, the update. Throws Error for a batch of another size, shape or
  /// type, or with tags outside 0 … V−1. Returns true. `give_up` (if there is one) may be asked in the
  /// midst, where a step takes long and this process trains alone: once it says so, the step is given
  /// up, all is as it was before, and false is returned.
  bool train_step(const Batch& batch, float lr, const std::function<bool()>& give_up = {}) {
    return do_step(batch, lr, give_up);
  }
  /// Returns the mean of each of CompileOptions::losses, without its weight, over the steps since
  /// the last call; zeros if there were none. Waits for those steps.
  virtual std::vector<double> take_losses() = 0;
  /// Calls take_losses() and returns the sum of the losses, each times its weight.
  double take_loss();
  /// Returns the last train_step's gradients of the trained parameters, by name, averaged over all
  /// processes. For tests.
  virtual StateDict gradients() const = 0;

  /// Starts inference on a batch of 1 to N rows. The caller may reuse the batch's memory when this
  /// returns. Throws Error if most_in_flight() batches were sent and not received.
  virtual void send(const Batch& batch) = 0;
  /// Waits for the batch that was sent first and writes its features (rows×D; of a map rows×H×W×C,
  /// as float32) and logits (rows×V); an empty span is not written. Throws Error if no batch was
  /// sent, or if a span is too short (the batch's results are lost then).
  virtual void receive(std::span<float> features, std::span<float> logits) = 0;
  /// Returns how many batches may be sent before the first is received.
  virtual int most_in_flight() const = 0;
  /// Sends a batch and receives its results.
  void infer(const Batch& batch, std::span<float> features, std::span<float> logits) {
    send(batch);
    receive(features, logits);
  }

  /// Turns the measuring of time on or off (off at first). While it is on, a GPU's program is
  /// slower: each train_step() or send() waits for the GPU.
  virtual void set_profiling(bool on) = 0;
  /// Returns where time went while profiling was on, most seconds first.
  virtual std::vector<ProfileLine> profile() const = 0;
  /// Returns the bytes of device memory held.
  virtual int64_t memory_bytes() const = 0;

 private:
  virtual bool do_step(const Batch& batch, float lr, const std::function<bool()>& give_up) = 0;

  std::vector<LossSpec> losses_;
};

class Engine {
 public:
  virtual ~Engine() = default;
  /// Returns the device and its libraries, for people.
  virtual std::string describe() const = 0;
  /// Returns whether the device computes in this precision.
  virtual bool supports(Precision precision) const = 0;
  /// Returns the compiled program; load_weights() must be called before it computes. Throws
  /// Error(usage) for a precision that the device does not support; Error naming a layer that it
  /// cannot compute or, if a GPU's memory is too small, a batch size that fits; and as make_graph()
  /// does.
  virtual std::unique_ptr<Program> compile(const Network& network,
                                           const CompileOptions& options) = 0;
};

/// Returns the engine of the device "cpu", "cuda" or "cuda:N". Throws Error(usage) for another name
/// or a device this machine lacks.
std::unique_ptr<Engine> make_engine(const std::string& device);

}  // namespace hardmoe
