// Two slots in which batches wait for their step. Each is pinned host memory and device memory of
// the same layout, so that the next batch is copied, in one copy, while a step computes.
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

  /// A row of `pieces` pieces of `bytes` each, of which a batch provides the first `given` and the
  /// rest stays zero.
  struct Row {
    int64_t pieces, bytes, given;
  };

  /// Allocates both slots: `rows` rows, and `most_tags` tags over all rows. `gpu` must outlive
  /// this. Throws Error if there is too little memory.
  InputSlots(Gpu& gpu, int64_t rows, const Row& row, int64_t most_tags);

  int64_t most_tags() const { return most_tags_; }
  int64_t bytes() const;  ///< of device memory

  // Each returns device memory that the work of a slot reads: rows, Batch::tag_ptr,
  // Batch::tag_ids, Batch::weights (ones if it is empty), and what else changes with the step.
  const std::byte* rows(int slot) const { return address(slot, rows_at_); }
  const int32_t* tag_ptr(int slot) const;
  const int32_t* tag_ids(int slot) const;
  const float* weights(int slot) const;
  const StepFactors* factors(int slot) const;

  /// Enqueues the copy of a batch to the next slot, makes the compute queue wait for it, and
  /// returns the slot. The caller may reuse the batch's memory when this returns. Waits only if the
  /// slot's previous batch, sent two calls ago, is still being copied.
  int send(const Batch& batch, StepFactors factors, bool with_tags);
  /// Marks the slot as read by everything enqueued so far. Call it after the step that reads the
  /// slot was enqueued; the slot's next copy waits for that step.
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
  Row row_;
  int64_t most_tags_;
  int64_t tag_ptr_at_ = 0, weights_at_ = 0, rows_at_ = 0, tag_ids_at_ = 0, total_ = 0;
  int next_ = 0;
  std::array<Slot, count> slots_;
};

}  // namespace hardmoe::cuda
