// Minibatches of decoded, augmented images, prepared ahead by background threads. Their contents
// depend only on items, options, epoch and position, not on threads, cache or resumption. Not for
// stored features: see data/feature_source.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "image/augment.h"
#include "nn/batch.h"

namespace hardmoe {

/// Settings of a loader.
struct LoaderOptions {
  int64_t batch = 128;
  int image_size = 224;
  /// Shuffle, augment, drop the last partial batch; false: in order, centred crops.
  bool training = true;
  AugmentConfig augment;
  double crop_share = 1;  ///< of center_region(), unless training
  uint64_t seed = 1;
  int threads = 2;
  /// Limit on decoded images kept in memory. None are kept if only a few would fit.
  int64_t cache_bytes = int64_t{1} << 30;
  /// One for each image of the split, in place of its tags; empty: its tags. Must outlive the
  /// loader.
  std::span<const uint16_t> labels = {};
};

/// Images shown besides a loader's own, such as some from outside an expert's part.
struct ExtraImages {
  std::vector<int64_t> items = {};  ///< to draw from; none of them among the loader's own
  int64_t per_epoch = 0;  ///< drawn anew each epoch, by seed and epoch, none twice; at most all
  float weight = 1;       ///< factor of their losses (Batch::weights)
};

/// Where the threads' time went since the loader was made, in seconds summed over threads.
struct LoaderTimes {
  int64_t images = 0;
  double read = 0;      ///< reading the file's bytes into memory
  double decode = 0;    ///< decoding what the crop needs
  double resize = 0;    ///< resizing and mirroring into the batch
  double assemble = 0;  ///< gathering tags
};

/// Batches of a split's images.
class Loader final : public BatchSource {
 public:
  /// `items`: the images of `split` to visit, such as an expert's part; empty: all of them. `split`
  /// must outlive the loader. `extra`: for training only, and where items are named. Throws
  /// Error(usage) naming the option that is out of range.
  Loader(const Split& split, std::vector<int64_t> items, LoaderOptions options,
         const ExtraImages& extra = {});
  ~Loader() override;

  /// Returns the number of images in an epoch, extra ones included.
  int64_t items() const override;
  int64_t batches_per_epoch() const override;
  void start(int64_t epoch, int64_t first_batch = 0) override;
  /// Returns the next batch, null at the epoch's end. Throws Error naming the shard and key of the
  /// batch's first image that cannot be decoded.
  const Batch* next() override;

  /// Returns the seconds next() has waited for data since the loader was made.
  double waited_seconds() const;
  LoaderTimes times() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hardmoe
