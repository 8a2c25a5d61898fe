#include "data/view_set.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace hardmoe {
namespace {

/// Copies rows of a tensor of views into one batch after another.
class ViewBatches final : public BatchSource {
 public:
  ViewBatches(const Tensor& views, std::vector<int64_t> items, int64_t batch)
      : views_(views), items_(std::move(items)), capacity_(batch) {
    Shape shape = views.shape();
    shape[0] = batch;
    batch_.input = Tensor(DType::u8, std::move(shape));
  }

  int64_t items() const override { return std::ssize(items_); }
  int64_t batches_per_epoch() const override { return (items() + capacity_ - 1) / capacity_; }
  void start(int64_t, int64_t first_batch) override { next_ = first_batch * capacity_; }
  const Batch* next() override {
    if (next_ >= items()) return nullptr;
    batch_.size = std::min(capacity_, items() - next_);
    batch_.tag_ptr.assign(static_cast<size_t>(batch_.size) + 1, 0);
    const size_t each = batch_.input.bytes() / static_cast<size_t>(capacity_);
    for (int64_t row = 0; row < batch_.size; ++row, ++next_) {
      const auto item = static_cast<size_t>(items_[static_cast<size_t>(next_)]);
      std::memcpy(batch_.input.data() + static_cast<size_t>(row) * each,
                  views_.data() + item * each, each);
    }
    return &batch_;
  }

 private:
  const Tensor& views_;
  std::vector<int64_t> items_;
  int64_t capacity_;
  int64_t next_ = 0;
  Batch batch_;
};

}  // namespace

ViewSet::ViewSet(std::map<ViewForm, Tensor> views, int64_t n) : views_(std::move(views)), size_(n) {
  for (const auto& [form, tensor] : views_) {
    const int64_t side = form.image_size;
    const bool fits = tensor.dtype() == DType::u8 && tensor.shape().size() == 4 &&
                      tensor.size(0) >= n && tensor.size(1) == side && tensor.size(2) == side &&
                      tensor.size(3) == 3;
    if (!fits) {
      fail("views of {0} pixels: found {1}, expected uint8 {2}×{0}×{0}×3 at least", side,
           to_string(tensor.shape()), n);
    }
  }
}

std::unique_ptr<BatchSource> ViewSet::views(const std::vector<int64_t>& items, int64_t batch,
                                            const ViewForm& form) const {
  const auto found = views_.find(form);
  if (found == views_.end()) fail("there are no views of {} pixels", form.image_size);
  return std::make_unique<ViewBatches>(found->second, items, batch);
}

}  // namespace hardmoe
