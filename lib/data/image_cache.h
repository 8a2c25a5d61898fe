// Decoded images kept from epoch to epoch, for the loader.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "image/codec.h"

namespace hardmoe {

/// Room for a number of images, filled by whichever thread comes first, up to a limit in bytes.
/// Safe to use from many threads; takes no locks.
class ImageCache {
 public:
  ImageCache(int64_t images, int64_t budget)
      : images_(static_cast<size_t>(budget > 0 ? images : 0)),
        states_(images_.size()),
        budget_(budget) {}

  /// Returns the image, or null if it is not (yet) kept.
  const StoredImage* find(int64_t index) const {
    const auto at = static_cast<size_t>(index);
    if (at >= images_.size()) return nullptr;
    return states_[at].load(std::memory_order_acquire) == State::ready ? &images_[at] : nullptr;
  }

  /// Returns whether the caller may put() an image of `bytes` there; no other thread may then.
  bool reserve(int64_t index, int64_t bytes) {
    const auto at = static_cast<size_t>(index);
    if (at >= images_.size() || used_.load(std::memory_order_relaxed) + bytes > budget_) {
      return false;
    }
    State expected = State::empty;
    if (!states_[at].compare_exchange_strong(expected, State::filling)) return false;
    if (used_.fetch_add(bytes) + bytes <= budget_) return true;
    used_.fetch_sub(bytes);
    states_[at].store(State::empty);
    return false;
  }

  /// Stores an image and returns it. Call only after reserve() returned true.
  const StoredImage& put(int64_t index, StoredImage image) {
    const auto at = static_cast<size_t>(index);
    images_[at] = std::move(image);
    states_[at].store(State::ready, std::memory_order_release);
    return images_[at];
  }

 private:
  enum class State : uint8_t { empty, filling, ready };
  std::vector<StoredImage> images_;
  std::vector<std::atomic<State>> states_;
  std::atomic<int64_t> used_{0};
  int64_t budget_;
};

}  // namespace hardmoe
