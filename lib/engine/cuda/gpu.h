// One GPU as the programs of this folder see it: memory, two queues (the step's and the input's),
// events between them, recorded graphs. All calls of the CUDA runtime but kernel launches are in
// gpu.cpp, so that tests put the host in its place and run whole programs without a GPU.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "engine/cuda/kernels.h"
#include "engine/engine.h"

struct CUevent_st;

namespace hardmoe::cuda {

using Event = CUevent_st*;

enum class EventKind { order, timing };

/// A sequence of calls recorded once and launched as a whole.
class RecordedGraph {
 public:
  virtual ~RecordedGraph() = default;
  virtual void launch() = 0;  ///< on the compute queue
};

class Gpu {
 public:
  /// Throws Error(usage) if there is no such GPU, saying what is missing.
  explicit Gpu(int number);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  int number() const;
  const std::string& name() const;
  int capability() const;  ///< 90 for 9.0
  bool supports(Precision precision) const;
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
  void zero(void* device, int64_t bytes, Stream stream) const;

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

/// Device memory, or pinned host memory; gone with its owner. Zero bytes hold nothing.
class Memory {
 public:
  Memory() = default;
  Memory(Gpu& gpu, void* data, int64_t bytes, bool pinned)
      : gpu_(&gpu), data_(data), bytes_(bytes), pinned_(pinned) {}
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept {
    std::swap(gpu_, other.gpu_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(pinned_, other.pinned_);
    return *this;
  }
  ~Memory() {
    if (data_ == nullptr) return;
    pinned_ ? gpu_->release_pinned(data_) : gpu_->release(data_);
  }
  std::byte* data() const { return static_cast<std::byte*>(data_); }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  int64_t bytes() const { return bytes_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  Gpu* gpu_ = nullptr;
  void* data_ = nullptr;
  int64_t bytes_ = 0;
  bool pinned_ = false;
};

/// Throw Error naming the bytes if they are not there.
Memory device_memory(Gpu& gpu, int64_t bytes, const char* what);
Memory pinned_memory(Gpu& gpu, int64_t bytes, const char* what);

/// An event that goes with its owner.
class OwnedEvent {
 public:
  OwnedEvent(Gpu& gpu, EventKind kind) : gpu_(&gpu), event_(gpu.make_event(kind)) {}
  OwnedEvent(OwnedEvent&& other) noexcept
      : gpu_(other.gpu_), event_(std::exchange(other.event_, nullptr)) {}
  OwnedEvent& operator=(OwnedEvent&&) = delete;
  ~OwnedEvent() {
    if (event_ != nullptr) gpu_->destroy(event_);
  }
  Event get() const { return event_; }

 private:
  Gpu* gpu_;
  Event event_;
};

}  // namespace hardmoe::cuda
