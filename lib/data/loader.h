// Minibatches of decoded, augmented images, prepared ahead by background threads. The contents are
// a pure function of (items, options, epoch, position): threads, cache and resumption do not change
// them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/dataset.h"
#include "image/augment.h"
#include "nn/batch.h"

namespace hardmoe {

struct LoaderOptions {
  int64_t batch = 128;
  int image_size = 224;
  bool training = true;  ///< shuffle, augment, drop the last partial batch; else in order, centred
  AugmentConfig augment;
  double crop_share = 1;  ///< of center_region(), unless training
  uint64_t seed = 1;
  int threads = 2;
  /// Decoded images are kept in memory up to this; none if only a few of them would fit.
  int64_t cache_bytes = int64_t{1} << 30;
};

/// Where the threads' time went since construction, seconds summed over the threads.
struct LoaderTimes {
  int64_t images = 0;
  double read = 0;      ///< getting the file's bytes into memory
  double decode = 0;    ///< as much of them as the crop needs
  double resize = 0;    ///< and mirror, into the batch
  double assemble = 0;  ///< tags
};

class Loader final : public BatchSource {
 public:
  /// `items`: the images of `split` to visit (an expert's part, say); empty means all of them.
  /// `split` must outlive the loader.
  Loader(const Split& split, std::vector<int64_t> items, LoaderOptions options);
  ~Loader() override;

  int64_t items() const override;
  int64_t batches_per_epoch() const override;
  void start(int64_t epoch, int64_t first_batch = 0) override;
  /// Throws Error naming the shard and key of the batch's first image that cannot be decoded.
  const Batch* next() override;

  /// Seconds next() has waited for data since construction.
  double waited_seconds() const;
  LoaderTimes times() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hardmoe
