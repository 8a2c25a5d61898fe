// Shuffled minibatches of stored features with their images' tags, on which a decoder is trained.
// Not for images: see data/loader.h.
#pragma once

#include "data/dataset.h"
#include "nn/batch.h"

namespace hardmoe {

/// Batches of features (N×D) of a split's images.
class FeatureSource final : public BatchSource {
 public:
  /// `features`: float32 N×D, row i is the feature of image i of `split`. Both must outlive the
  /// source. `items`: the images to visit, possibly with repetitions; empty: each once. Throws
  /// Error(usage) if there are fewer than `batch`.
  FeatureSource(const Tensor& features, const Split& split, int64_t batch, uint64_t seed,
                std::vector<int64_t> items = {});

  int64_t items() const override {
    return items_.empty() ? features_.size(0) : static_cast<int64_t>(items_.size());
  }
  int64_t batches_per_epoch() const override { return items() / batch_; }
  void start(int64_t epoch, int64_t first_batch = 0) override;
  const Batch* next() override;

 private:
  const Tensor& features_;
  const Split& split_;
  int64_t batch_;
  uint64_t seed_;
  std::vector<int64_t> items_, order_;
  int64_t position_ = 0;
  Batch current_;
};

}  // namespace hardmoe
