#include "data/thumbnails.h"

#include "base/error.h"
#include "base/signals.h"
#include "base/threads.h"
#include "image/view_maker.h"

namespace hardmoe {

std::vector<Tensor> thumbnails(const Split& split, const std::vector<int64_t>& items, int size) {
  std::vector<Tensor> found(items.size());
  parallel_for(std::ssize(items), 1, [&](int64_t begin, int64_t end) {
    ViewMaker maker(size, Purpose::evaluation, {});
    for (int64_t i = begin; i < end && !interrupted(); ++i) {
      try {
        Tensor view = Tensor::uninitialized(DType::u8, {size, size, 3});
        maker.open(split.image(items[static_cast<size_t>(i)]));
        maker.write(Random(0, RandomUse::augment), view.as<uint8_t>().data());
        found[static_cast<size_t>(i)] = std::move(view);
      } catch (const Error&) {  // it stays empty
      }
    }
  });
  throw_if_interrupted();
  return found;
}

}  // namespace hardmoe
