#include "data/feature_source.h"

#include <algorithm>

#include "base/error.h"
#include "base/random.h"

namespace hardmoe {

FeatureSource::FeatureSource(const Tensor& features, const Split& split, int64_t batch,
                             uint64_t seed, std::vector<int64_t> items)
    : features_(features), split_(split), batch_(batch), seed_(seed), items_(std::move(items)) {
  if (features.size(0) != split.size()) {
    fail("found {} features, expected one for each of the {} images of split '{}'",
         features.size(0), split.size(), split.name());
  }
  if (this->items() < batch) {
    fail_usage("batch: {} images are fewer than one batch of {}; use a smaller batch",
               this->items(), batch);
  }
  split.require_index();
  current_.input = Tensor(DType::f32, {batch, features.size(1)});
}

void FeatureSource::start(int64_t epoch, int64_t first_batch) {
  order_ =
      random_permutation(items(), Random(seed_, RandomUse::order, static_cast<uint64_t>(epoch)));
  position_ = first_batch;
}

const Batch* FeatureSource::next() {
  if (position_ >= batches_per_epoch()) return nullptr;
  const int64_t width = features_.size(1);
  current_.size = batch_;
  current_.tag_ptr.assign(1, 0);
  current_.tag_ids.clear();
  for (int64_t i = 0; i < batch_; ++i) {
    int64_t item = order_[static_cast<size_t>(position_ * batch_ + i)];
    if (!items_.empty()) item = items_[static_cast<size_t>(item)];
    std::copy_n(features_.as<float>().data() + item * width, width,
                current_.input.as<float>().data() + i * width);
    const auto tags = split_.tags(item);
    current_.tag_ids.insert(current_.tag_ids.end(), tags.begin(), tags.end());
    current_.tag_ptr.push_back(static_cast<int32_t>(current_.tag_ids.size()));
  }
  ++position_;
  return &current_;
}

}  // namespace hardmoe
