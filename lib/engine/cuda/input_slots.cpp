#include "engine/cuda/input_slots.h"

#include <algorithm>
#include <cstring>

#include "base/threads.h"

namespace hardmoe::cuda {
namespace {

int64_t aligned(int64_t bytes) { return (bytes + 255) / 256 * 256; }

template <class T>
void put(std::byte* to, const T* from, size_t n) {
  if (n > 0) std::memcpy(to, from, n * sizeof(T));
}

}  // namespace

InputSlots::InputSlots(Gpu& gpu, int64_t rows, const Row& row, int64_t most_tags)
    : gpu_(&gpu),
      row_(row),
      most_tags_(most_tags),
      tag_ptr_at_(aligned(sizeof(StepFactors))),
      weights_at_(tag_ptr_at_ + aligned((rows + 1) * 4)),
      rows_at_(weights_at_ + aligned(rows * 4)),
      tag_ids_at_(rows_at_ + aligned(rows * row.pieces * row.bytes)),
      total_(tag_ids_at_ + aligned(most_tags * 4)),
      slots_{Slot{pinned_memory(gpu, total_, "input"), device_memory(gpu, total_, "input"),
                  OwnedEvent(gpu, EventKind::order), OwnedEvent(gpu, EventKind::order)},
             Slot{pinned_memory(gpu, total_, "input"), device_memory(gpu, total_, "input"),
                  OwnedEvent(gpu, EventKind::order), OwnedEvent(gpu, EventKind::order)}} {
  // Rows that no batch has filled yet, and the ends of padded ones, are zero.
  for (const Slot& slot : slots_) {
    std::memset(slot.pinned.data(), 0, static_cast<size_t>(total_));
    gpu.zero(slot.device.data(), total_, gpu.compute());
  }
  gpu.synchronize(gpu.compute());
}

int64_t InputSlots::bytes() const { return count * total_; }

const int32_t* InputSlots::tag_ptr(int slot) const {
  return reinterpret_cast<const int32_t*>(address(slot, tag_ptr_at_));
}
const int32_t* InputSlots::tag_ids(int slot) const {
  return reinterpret_cast<const int32_t*>(address(slot, tag_ids_at_));
}
const float* InputSlots::weights(int slot) const {
  return reinterpret_cast<const float*>(address(slot, weights_at_));
}
const StepFactors* InputSlots::factors(int slot) const {
  return reinterpret_cast<const StepFactors*>(address(slot, 0));
}

int InputSlots::send(const Batch& batch, StepFactors factors, bool with_tags) {
  factors.images = static_cast<int32_t>(batch.size);
  const int number = next_;
  next_ = (next_ + 1) % count;
  const Slot& slot = slots_[static_cast<size_t>(number)];
  gpu_->synchronize(slot.copied.get());  // the pinned side is free again
  std::byte* to = slot.pinned.data();
  put(to, &factors, 1);
  const std::byte* from = batch.input.data();
  const int64_t pieces = batch.size * row_.pieces, given = row_.given;
  if (row_.bytes == given) {
    constexpr int64_t grain = 1 << 20;
    parallel_for(pieces * given, grain, [&](int64_t begin, int64_t end) {
      put(to + rows_at_ + begin, from + begin, static_cast<size_t>(end - begin));
    });
  } else {
    for (int64_t i = 0; i < pieces; ++i) {
      put(to + rows_at_ + i * row_.bytes, from + i * given, static_cast<size_t>(given));
    }
  }
  int64_t end = rows_at_ + pieces * row_.bytes;
  if (with_tags) {
    put(to + tag_ptr_at_, batch.tag_ptr.data(), batch.tag_ptr.size());
    put(to + tag_ids_at_, batch.tag_ids.data(), batch.tag_ids.size());
    auto* weights = reinterpret_cast<float*>(to + weights_at_);
    std::fill_n(weights, batch.size, 1.0F);
    std::copy(batch.weights.begin(), batch.weights.end(), weights);
    if (!batch.tag_ids.empty()) {
      end = tag_ids_at_ + 4 * static_cast<int64_t>(batch.tag_ids.size());
    }
  }
  const Stream copies = gpu_->copies();
  gpu_->wait(copies, slot.used.get());  // the device side is free again
  gpu_->to_device(slot.device.data(), to, end, copies);
  gpu_->record(slot.copied.get(), copies);
  gpu_->wait(gpu_->compute(), slot.copied.get());
  return number;
}

void InputSlots::enqueued(int slot) {
  gpu_->record(slots_[static_cast<size_t>(slot)].used.get(), gpu_->compute());
}

}  // namespace hardmoe::cuda
