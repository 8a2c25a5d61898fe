#include "engine/ops/class_token.h"

#include <cstring>

#include "base/threads.h"
#include "engine/cpu/layer.h"
#include "engine/cpu/rows.h"

namespace hardmoe::cpu {
namespace {

class ClassTokenLayer final : public Layer {
 public:
  explicit ClassTokenLayer(LayerBuilder& builder)
      : images_(builder.batch()),
        channels_(builder.output().extent.channels),
        elements_(builder.rows() / images_ * channels_),
        token_(builder.parameter("")) {}

  Work work(const Step& step, const Arrays& arrays) override {
    if (step.pass == Pass::forward) {
      return [this, x = arrays.activations(step.x[0]), y = arrays.activations(step.y),
              token = arrays.weights(token_)] { prepend(x, token, y); };
    }
    return [this, dy = arrays.activations(step.dy),
            dx = arrays.activations(step.dx.empty() ? -1 : step.dx[0]),
            gradient = arrays.gradient(token_)] {
      sum_rows(dy, images_, elements_ + channels_, channels_, gradient);
      if (dx) take_rest(dy, dx);
    };
  }

 private:
  static size_t bytes(Activations array, int64_t elements) {
    const size_t element = array.precision == Precision::bf16 ? sizeof(BFloat16) : sizeof(float);
    return element * static_cast<size_t>(elements);
  }
  /// Calls body(image) for all, in parallel.
  template <class Body>
  void for_images(const Body& body) const {
    parallel_for(images_, 1 + (1 << 14) / elements_, [&](int64_t begin, int64_t end) {
      for (int64_t image = begin; image < end; ++image) body(image);
    });
  }

  void prepend(Activations x, const float* token, Activations y) const {
    for_images([&](int64_t image) {
      const int64_t first = image * (elements_ + channels_);
      from_float(token, channels_, from_element(y, first));
      std::memcpy(from_element(y, first + channels_).data, from_element(x, image * elements_).data,
                  bytes(x, elements_));
    });
  }
  /// The gradient of all tokens but the first.
  void take_rest(Activations dy, Activations dx) const {
    for_images([&](int64_t image) {
      const int64_t first = image * (elements_ + channels_);
      std::memcpy(from_element(dx, image * elements_).data,
                  from_element(dy, first + channels_).data, bytes(dx, elements_));
    });
  }

  int64_t images_, channels_;
  int64_t elements_;  ///< of an image's tokens before
  int token_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const ClassToken&, LayerBuilder& builder) {
  return std::make_unique<ClassTokenLayer>(builder);
}

}  // namespace hardmoe::cpu
