// Shuffled minibatches of stored features with the tags of their images: what a decoder trains on.
#pragma once

#include "data/batch.h"
#include "data/dataset.h"

namespace hardmoe {

class FeatureSource final : public BatchSource {
 public:
  /// features: float32 N×D, row i the feature of image i of `split`; both must outlive the source.
  /// Throws Error(usage) if there are fewer than `batch` rows.
  FeatureSource(const Tensor& features, const Split& split, int64_t batch, uint64_t seed);

  int64_t items() const override { return features_.size(0); }
  int64_t batches_per_epoch() const override { return items() / batch_; }
  void start(int64_t epoch, int64_t first_batch = 0) override;
  const Batch* next() override;

 private:
  const Tensor& features_;
  const Split& split_;
  int64_t batch_;
  uint64_t seed_;
  std::vector<int64_t> order_;
  int64_t position_ = 0;
  Batch current_;
};

}  // namespace hardmoe
