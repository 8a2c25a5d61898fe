// Compiling a network for a device and running it. An Engine is a device (the CPU, one GPU); a
// Program is a network made ready on it: every primitive made once, memory planned once, weights in
// place. After compile() a step asks for no more device memory and, on a device with its own queue,
// waits for nothing until a result is asked for. Nothing above this header knows which engine runs.
#pragma once

#include <cstdint>
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
  /// In training, what is learned: the sum of these, each times its weight.
  std::vector<LossSpec> losses = {{}};
  OptimizerSpec optimizer = {};
  /// The same bytes from the same steps, every time: also where a faster way would not give them.
  bool deterministic = false;
  /// Names of parameters that stay as they are, * for any characters: "layer1.*". They get no
  /// gradient and no update, and what lies below all that is trained costs no backward pass. A
  /// batch norm whose weight and bias are both frozen uses its running statistics.
  std::vector<std::string> frozen = {};
  /// The processes that train together, each on batches of its own; gradients are averaged over
  /// them between backward pass and update. Null: this one alone.
  std::shared_ptr<Communicator> communicator = {};
};

/// One line of a profile: seconds spent in steps of this name since compile.
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

  /// Parameters and running statistics by PyTorch's names and layouts, float32. Tensors the network
  /// does not know are ignored. Throws Error naming `where` and the tensor that is missing or of
  /// another shape. Optimiser state is reset, averaged weights start from these,
  /// batches on their way are forgotten.
  virtual void load_weights(const StateDict& weights, const std::string& where) = 0;
  virtual StateDict weights() const = 0;
  /// The exponential moving average of the weights; the weights themselves if it is off.
  virtual StateDict averaged_weights() const = 0;

  /// Everything but weights() that the next step depends on, for checkpoints: moments, averages,
  /// the step count. Load after load_weights().
  virtual StateDict optimizer_state() const = 0;
  virtual void load_optimizer_state(const StateDict& state, const std::string& where) = 0;

  /// One step on a full batch with learning rate `lr`, in three pieces: gradients (forward, losses,
  /// backward), their average over all processes, the update.
  virtual void train_step(const Batch& batch, float lr) = 0;
  /// Means of each of CompileOptions::losses over the steps since the last call, not yet times
  /// their weights; waits for them. Zeros if there were none.
  virtual std::vector<double> take_losses() = 0;
  /// Their weighted sum.
  double take_loss();
  /// Gradients of the last train_step by name, of the parameters that are trained; for tests.
  virtual StateDict gradients() const = 0;

  /// Starts a batch on its way through the network; its memory is the caller's again. At most
  /// most_in_flight() are on their way, so that a device computes while the host does other things.
  virtual void send(const Batch& batch) = 0;
  /// Features (rows × D) and logits (rows × V) of the batch that was sent first; an empty span is
  /// not written.
  virtual void receive(std::span<float> features, std::span<float> logits) = 0;
  virtual int most_in_flight() const = 0;
  /// Both.
  void infer(const Batch& batch, std::span<float> features, std::span<float> logits) {
    send(batch);
    receive(features, logits);
  }

  /// Where the time went, most expensive first, once profiling is on.
  virtual void set_profiling(bool on) = 0;
  virtual std::vector<ProfileLine> profile() const = 0;
  /// Bytes of device memory held.
  virtual int64_t memory_bytes() const = 0;

 private:
  std::vector<LossSpec> losses_;
};

class Engine {
 public:
  virtual ~Engine() = default;
  /// "CPU, AVX-512 with bf16, 2 threads, oneDNN 2.6.3".
  virtual std::string describe() const = 0;
  virtual bool supports(Precision precision) const = 0;
  /// Throws Error(usage) if the device cannot do what is asked, naming what it can.
  virtual std::unique_ptr<Program> compile(const Network& network,
                                           const CompileOptions& options) = 0;
};

/// "cpu" or "cuda[:N]". Throws Error(usage) for another name or a device that is not here.
std::unique_ptr<Engine> make_engine(const std::string& device);

}  // namespace hardmoe
