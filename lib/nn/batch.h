// One batch, as loaders make it and engines take it.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace hardmoe {

/// Rows of images or features, with their tags.
struct Batch {
  int64_t size = 0;  ///< rows in use, N; those beyond, up to the capacity, are ignored
  Tensor input;      ///< uint8 capacity×H×W×3 (RGB), or float32 capacity×D features,
                     ///< or float32 capacity×H×W×C maps
  /// N + 1 entries: the tags of row i are tag_ids[tag_ptr[i]] … tag_ids[tag_ptr[i+1]−1], ascending.
  std::vector<int32_t> tag_ptr{0};
  std::vector<int32_t> tag_ids;
  /// N factors of the rows' losses, 0 or more; empty: all 1.
  std::vector<float> weights = {};
};

/// Gives a training loop its batches: decoded images (data/loader.h) or stored features
/// (data/feature_source.h). What a batch holds is a function of the epoch and the batch's number.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  /// Returns the number of images or features in an epoch.
  virtual int64_t items() const = 0;
  virtual int64_t batches_per_epoch() const = 0;
  /// Begins epoch `epoch` at batch number `first_batch`, and drops batches prepared so far.
  virtual void start(int64_t epoch, int64_t first_batch = 0) = 0;
  /// Returns the next batch, valid until the next call; null at the end of the epoch.
  virtual const Batch* next() = 0;
};

}  // namespace hardmoe
