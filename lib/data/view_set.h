// Views in memory, in each form that the networks of a mixture take. Not for a dataset's images:
// see data/dataset.h.
#pragma once

#include <map>

#include "data/image_set.h"

namespace hardmoe {

/// Views of N images.
class ViewSet final : public ImageSet {
 public:
  ViewSet() = default;
  /// `views`: for each form uint8 rows×size×size×3, of which the first N are read. Throws Error
  /// unless they are that.
  ViewSet(std::map<ViewForm, Tensor> views, int64_t n);

  int64_t size() const override { return size_; }
  /// Throws Error if there are no views of that form.
  std::unique_ptr<BatchSource> views(const std::vector<int64_t>& items, int64_t batch,
                                     const ViewForm& form) const override;
  bool shows_progress() const override { return false; }

 private:
  std::map<ViewForm, Tensor> views_;
  int64_t size_ = 0;
};

}  // namespace hardmoe
