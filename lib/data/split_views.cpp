// A split's images as a set that networks are asked about.
#include "base/threads.h"
#include "data/dataset.h"
#include "data/loader.h"

namespace hardmoe {

std::unique_ptr<BatchSource> Split::views(const std::vector<int64_t>& items, int64_t batch,
                                          const ViewForm& form) const {
  LoaderOptions options;
  options.batch = batch;
  options.image_size = form.image_size;
  options.training = false;
  options.crop_share = form.crop_share;
  options.threads = compute_threads();
  options.cache_bytes = 0;  // each image is read once
  return std::make_unique<Loader>(*this, items, options);
}

}  // namespace hardmoe
