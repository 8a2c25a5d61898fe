#include "engine/batch_check.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hardmoe {

void check_batch(const Network& network, const CompileOptions& options, const Batch& batch) {
  const bool image = network.input == InputKind::image;
  const Extent& in = network.extent;
  const Shape wanted = network.input == InputKind::feature
                           ? Shape{options.batch, in.channels}
                           : Shape{options.batch, in.height, in.width, in.channels};
  if (batch.input.shape() != wanted || batch.input.dtype() != (image ? DType::u8 : DType::f32)) {
    fail("the program takes batches of {} {}, found {} {}", to_string(wanted),
         image ? "uint8" : "float32", to_string(batch.input.shape()), name_of(batch.input.dtype()));
  }
  const bool whole = options.mode == Mode::train;
  if (batch.size < 1 || batch.size > options.batch || (whole && batch.size != options.batch)) {
    fail("the program takes {} {} rows, found {}", whole ? "exactly" : "1 to", options.batch,
         batch.size);
  }
}

void check_tags(const Batch& batch, int64_t tags) {
  const auto& ptr = batch.tag_ptr;
  if (static_cast<int64_t>(ptr.size()) != batch.size + 1 || ptr.front() != 0 ||
      ptr.back() != static_cast<int64_t>(batch.tag_ids.size()) ||
      !std::is_sorted(ptr.begin(), ptr.end())) {
    fail("a batch of {} rows has {} tag pointers that do not cover its {} tags in order",
         batch.size, ptr.size(), batch.tag_ids.size());
  }
  const auto& weights = batch.weights;
  const bool usable =
      std::ranges::all_of(weights, [](float w) { return w >= 0 && std::isfinite(w); });
  if (!usable || (!weights.empty() && std::ssize(weights) != batch.size)) {
    fail("a batch of {} rows has {} weights, expected none or one a row, each 0 or more",
         batch.size, weights.size());
  }
  for (const int32_t id : batch.tag_ids) {
    if (id < 0 || id >= tags) fail("a batch has tag {}, the network knows 0 to {}", id, tags - 1);
  }
}

void check_results(int64_t size, int64_t rows, std::span<const float> out, const char* what) {
  if (out.empty()) return;
  if (size == 0) fail("the network has no {}", what);
  const int64_t count = rows * size;
  if (std::ssize(out) < count) fail("{}: room for {} values, {} needed", what, out.size(), count);
}

}  // namespace hardmoe
