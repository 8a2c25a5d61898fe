#include "engine/ops/token_pool.h"

#include <cstring>

#include "engine/cpu/layer.h"

namespace hardmoe::cpu {
namespace {

class TokenPoolLayer final : public Layer {
 public:
  TokenPoolLayer(const TokenPool& op, LayerBuilder& builder)
      : first_(op.first),
        images_(builder.batch()),
        tokens_(builder.rows() / images_),
        channels_(builder.output().extent.channels) {}

  Work work(const Step& step, const Arrays& arrays) override {
    if (step.pass == Pass::forward) {
      return [this, x = arrays.activations(step.x[0]), y = arrays.floats(step.y)] {
        if (first_) {
          take_first(x, y);
        } else {
          average_pool(x, images_, tokens_, channels_, y);
        }
      };
    }
    return [this, dy = arrays.activations(step.dy), dx = arrays.activations(step.dx[0])] {
      if (first_) {
        give_first(dy, dx);
      } else {
        average_pool_backward(dy, images_, tokens_, channels_, dx);
      }
    };
  }

 private:
  void take_first(Activations x, float* y) const {
    for (int64_t image = 0; image < images_; ++image) {
      to_float(from_element(x, image * tokens_ * channels_), channels_, y + image * channels_);
    }
  }
  /// The other tokens get none.
  void give_first(Activations dy, Activations dx) const {
    const size_t element = dx.precision == Precision::bf16 ? sizeof(BFloat16) : sizeof(float);
    std::memset(dx.data, 0, element * static_cast<size_t>(images_ * tokens_ * channels_));
    for (int64_t image = 0; image < images_; ++image) {
      std::memcpy(from_element(dx, image * tokens_ * channels_).data,
                  from_element(dy, image * channels_).data,
                  element * static_cast<size_t>(channels_));
    }
  }
  bool first_;
  int64_t images_, tokens_, channels_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const TokenPool& op, LayerBuilder& builder) {
  return std::make_unique<TokenPoolLayer>(op, builder);
}

}  // namespace hardmoe::cpu
