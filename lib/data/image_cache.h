// Decoded images kept from epoch to epoch. For the loader.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "image/codec.h"

namespace hardmoe {

/// One place an image, filled by whoever comes first, up to a budget in bytes. For many threads,
/// without locks.
class ImageCache {
 public:
  ImageCache(int64_t places, int64_t budget)
      : images_(static_cast<size_t>(budget > 0 ? places : 0)),
        states_(images_.size()),
        budget_(budget) {}

  /// Null where the image is not (yet) kept.
  const StoredImage* find(int64_t place) const {
    const auto at = static_cast<size_t>(place);
    if (at >= images_.size()) return nullptr;
    return states_[at].load(std::memory_order_acquire) == State::ready ? &images_[at] : nullptr;
  }

  /// Whether the caller may put `bytes` at this place; then nobody else may.
  bool reserve(int64_t place, int64_t bytes) {
    const auto at = static_cast<size_t>(place);
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

  /// Only after reserve().
  const StoredImage& put(int64_t place, StoredImage image) {
    const auto at = static_cast<size_t>(place);
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
