// Owners of GPU memory and events, which release them when destroyed. The Gpu must outlive them.
#pragma once

#include <utility>

#include "gpu/gpu.h"

namespace hardmoe::cuda {

/// Owns device memory or pinned host memory, or nothing (data() is null).
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

/// Returns new device memory; nothing for 0 bytes. Throws Error naming the bytes, `what` they are
/// for and `advice` if there is too little.
Memory device_memory(Gpu& gpu, int64_t bytes, const char* what,
                     const char* advice = "use a smaller batch, or end what else uses it");
/// Returns new pinned host memory; nothing for 0 bytes. Throws Error as device_memory() does.
Memory pinned_memory(Gpu& gpu, int64_t bytes, const char* what);

/// Owns an event.
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
