// One GPU: memory, two queues (of work and of copies), events between them, recorded graphs. All
// calls of the CUDA runtime but kernel launches are in cuda/, so that tests put the host in its
// place (tests/gpu/emulation/) and run whole programs without a GPU. Built where the CUDA toolkit
// was found.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "gpu/stream.h"

namespace hardmoe::cuda {

enum class EventKind { order, timing };

/// A sequence of calls recorded once and launched as a whole.
class RecordedGraph {
 public:
  virtual ~RecordedGraph() = default;
  virtual void launch() = 0;  ///< on the compute queue
};

class Gpu {
 public:
  /// Throws Error(usage) if there is no such GPU or none that kernels are built for, saying what is
  /// missing.
  explicit Gpu(int number);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  int number() const;
  const std::string& name() const;
  int capability() const;  ///< 90 for 9.0
  int64_t total_bytes() const;
  int64_t free_bytes() const;
  /// Of its memory, by its clock and width: more than anything reaches.
  double bytes_per_second() const;

  /// Makes it the calling thread's GPU: before anything below, in each thread.
  void enter() const;

  Stream compute() const;
  Stream copies() const;
  /// Waits until everything enqueued so far is done.
  void synchronize(Stream stream) const;

  /// 256-byte aligned; null if there is no room.
  void* allocate(int64_t bytes);
  void release(void* memory) noexcept;
  /// Host memory that the GPU reads and writes without the processor; null if there is no room.
  void* allocate_pinned(int64_t bytes);
  void release_pinned(void* memory) noexcept;

  // Enqueued; host memory must be pinned and stay as it is until they are done.
  void to_device(void* device, const void* pinned, int64_t bytes, Stream stream) const;
  void to_host(void* pinned, const void* device, int64_t bytes, Stream stream) const;
  void copy(void* to, const void* from, int64_t bytes, Stream stream) const;  ///< device to device
  void zero(void* device, int64_t bytes, Stream stream) const;

  // Ordinary host memory, on the compute queue.
  /// Enqueued; `host` may change as soon as this returns.
  void upload(void* device, const void* host, int64_t bytes) const;
  /// Waits for it and everything enqueued before.
  void download(void* host, const void* device, int64_t bytes) const;

  Event make_event(EventKind kind);
  void destroy(Event event) noexcept;
  void record(Event event, Stream stream) const;
  /// What `stream` gets from here on waits for the event as it was last recorded.
  void wait(Stream stream, Event event) const;
  /// The calling thread waits; at once if the event was never recorded.
  void synchronize(Event event) const;
  /// Between two timing events that are done.
  double seconds_between(Event start, Event end) const;

  /// Records what work() enqueues on the compute queue, without doing it. work() must not allocate,
  /// wait, or copy from memory that is not pinned.
  std::unique_ptr<RecordedGraph> record_graph(const std::function<void()>& work);

 private:
  struct Handles;
  std::unique_ptr<Handles> handles_;
};

}  // namespace hardmoe::cuda
