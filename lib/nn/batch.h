// One minibatch, as loaders make it and engines take it.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace hardmoe {

struct Batch {
  int64_t size = 0;  ///< rows in use; rows beyond it, up to the capacity, are padding
  Tensor input;      ///< uint8 capacity×H×W×3 (RGB), or float32 capacity×D features
  /// The tags of row i are tag_ids[tag_ptr[i]] … tag_ids[tag_ptr[i+1]-1], ascending.
  std::vector<int32_t> tag_ptr{0};
  std::vector<int32_t> tag_ids;
};

/// Where a training loop gets its minibatches: decoded images (data/loader.h) or stored features
/// (data/feature_source.h). What an epoch's batch holds is a pure function of (epoch, position).
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual int64_t items() const = 0;
  virtual int64_t batches_per_epoch() const = 0;
  /// Begins epoch `epoch` at batch `first_batch`; whatever was being prepared is dropped.
  virtual void start(int64_t epoch, int64_t first_batch = 0) = 0;
  /// The next batch, or nullptr at the end of the epoch. Valid until the next call.
  virtual const Batch* next() = 0;
};

}  // namespace hardmoe
