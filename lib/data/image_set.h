// Images that networks are asked about, as evaluation views: those of a dataset's split, decoded
// whenever they are asked for (data/dataset.h), or views that are in memory already
// (data/view_set.h). Not for training: see data/loader.h.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "nn/batch.h"

namespace hardmoe {

/// How a network sees images in evaluation.
struct ViewForm {
  int image_size = 224;   ///< height and width in pixels
  double crop_share = 1;  ///< of center_region()
  auto operator<=>(const ViewForm&) const = default;
};

/// A numbered set of images.
class ImageSet {
 public:
  virtual ~ImageSet() = default;
  virtual int64_t size() const = 0;
  /// Returns the views of `items`, which must not be empty, in order, `batch` at a time. This must
  /// outlive the result, whose next() throws Error naming an image that cannot be decoded.
  virtual std::unique_ptr<BatchSource> views(const std::vector<int64_t>& items, int64_t batch,
                                             const ViewForm& form) const = 0;
  /// Returns whether it takes so long that a progress bar tells how far it is.
  virtual bool shows_progress() const { return true; }
};

}  // namespace hardmoe
