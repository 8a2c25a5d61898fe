// One GPU: its memory, two queues (one for work, one for copies), events that order them, recorded
// graphs. All calls of the CUDA runtime except kernel launches are in gpu/cuda/, so that tests can
// replace them (tests/gpu/emulation/) and run whole programs without a GPU. Calls throw Error with
// the driver's reason and advice if the GPU fails, unless they are noexcept. Built only with the
// CUDA toolkit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "gpu/stream.h"

namespace hardmoe::cuda {

/// What an event is for.
enum class EventKind {
  order,   ///< waiting; a host thread that waits sleeps
  timing,  ///< seconds_between()
};

/// A sequence of enqueued work, recorded once and launched as a whole.
class RecordedGraph {
 public:
  virtual ~RecordedGraph() = default;
  /// Enqueues the whole sequence on the compute queue.
  virtual void launch() = 0;
};

class Gpu {
 public:
  /// Opens GPU number `number`. Throws Error(usage) saying what is missing if there is no such GPU
  /// or its compute capability is below oldest_capability.
  explicit Gpu(int number);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  int number() const;
  const std::string& name() const;
  int capability() const;       ///< compute capability × 10: 90 for 9.0
  int64_t total_bytes() const;  ///< of device memory; call enter() before
  int64_t free_bytes() const;   ///< of device memory; call enter() before
  /// Returns the theoretical bandwidth of device memory, from its clock and bus width.
  double bytes_per_second() const;

  /// Makes this the calling thread's current GPU. Each thread must call it before the calls below.
  void enter() const;

  Stream compute() const;  ///< the queue for work
  Stream copies() const;   ///< the queue for copies of batches
  /// Waits until everything enqueued on the queue so far is done.
  void synchronize(Stream stream) const;

  /// Returns device memory, 256-byte aligned; null if there is too little.
  void* allocate(int64_t bytes);
  void release(void* memory) noexcept;
  /// Returns pinned host memory, which copies need; null if there is too little.
  void* allocate_pinned(int64_t bytes);
  void release_pinned(void* memory) noexcept;

  // Each enqueues a copy or a memset and returns at once. Host memory must be pinned, and must not
  // change or be released until the queue has done it.
  void to_device(void* device, const void* pinned, int64_t bytes, Stream stream) const;
  void to_host(void* pinned, const void* device, int64_t bytes, Stream stream) const;
  void copy(void* to, const void* from, int64_t bytes, Stream stream) const;  ///< device to device
  void zero(void* device, int64_t bytes, Stream stream) const;

  /// Enqueues a copy from host memory that is not pinned, on the compute queue; `host` may change
  /// as soon as this returns.
  void upload(void* device, const void* host, int64_t bytes) const;
  /// Copies to host memory that is not pinned, after everything enqueued on the compute queue so
  /// far. Waits until it is done.
  void download(void* host, const void* device, int64_t bytes) const;

  Event make_event(EventKind kind);
  void destroy(Event event) noexcept;
  /// Enqueues the event: it is done when everything enqueued on the queue before is done.
  void record(Event event, Stream stream) const;
  /// Makes what is enqueued on `stream` from now on wait for the event as it was last recorded.
  void wait(Stream stream, Event event) const;
  /// Makes the calling thread wait for the event as it was last recorded; returns at once if it
  /// never was.
  void synchronize(Event event) const;
  /// Returns the time between two timing events, both done.
  double seconds_between(Event start, Event end) const;

  /// Calls work() and returns what that enqueued on the compute queue as a graph, without running
  /// it. work() must not allocate, wait, or copy from memory that is not pinned.
  std::unique_ptr<RecordedGraph> record_graph(const std::function<void()>& work);

 private:
  struct Handles;
  std::unique_ptr<Handles> handles_;
};

}  // namespace hardmoe::cuda
