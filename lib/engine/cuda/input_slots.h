// Where batches wait for their step: two slots, each pinned host memory and device memory of the
// same layout, so that the next batch travels while a step computes. One copy a batch.
#pragma once

#include <array>
#include <memory>

#include "engine/cuda/kernels.h"
#include "gpu/memory.h"
#include "nn/batch.h"

namespace hardmoe::cuda {

class InputSlots {
 public:
  static constexpr int count = 2;

  /// `rows` of `row_bytes` on the device, of which a batch brings the first `given_bytes` (a
  /// multiple of 4 where they differ); room for `most_tags` tags of all rows together. The GPU must
  /// outlive it.
  InputSlots(Gpu& gpu, int64_t rows, int64_t row_bytes, int64_t given_bytes, int64_t most_tags);

  int64_t most_tags() const { return most_tags_; }
  int64_t bytes() const;  ///< of device memory

  // Device memory that a step of the slot reads.
  const std::byte* rows(int slot) const { return address(slot, rows_at_); }
  const int32_t* tag_ptr(int slot) const;
  const int32_t* tag_ids(int slot) const;
  const StepFactors* factors(int slot) const;

  /// Sends a batch to the slot that is next, and makes the compute queue wait for it; returns the
  /// slot. Waits only if the copy before last from the same slot is still on its way.
  int send(const Batch& batch, const StepFactors& factors, bool with_tags);
  /// After the step that reads the slot was enqueued.
  void enqueued(int slot);

 private:
  struct Slot {
    Memory pinned, device;
    OwnedEvent copied, used;
  };
  const std::byte* address(int slot, int64_t offset) const {
    return slots_[static_cast<size_t>(slot)].device.data() + offset;
  }

  Gpu* gpu_;
  int64_t row_bytes_, given_bytes_, most_tags_;
  int64_t tag_ptr_at_ = 0, rows_at_ = 0, tag_ids_at_ = 0, total_ = 0;
  int next_ = 0;
  std::array<Slot, count> slots_;
};

}  // namespace hardmoe::cuda
