// Memory and events that go with their owner.
#pragma once

#include <utility>

#include "gpu/gpu.h"

namespace hardmoe::cuda {

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

/// Memory for `what`. Throw Error naming the bytes if they are not there, with what to do.
Memory device_memory(Gpu& gpu, int64_t bytes, const char* what,
                     const char* advice = "use a smaller batch, or end what else uses it");
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
