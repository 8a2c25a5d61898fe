#include "engine/cpu/narrow_conv.h"

#include <algorithm>
#include <vector>

#include "base/threads.h"
#include "engine/cpu/vector.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t fewest_direct = 8;  // input channels from which oneDNN's own is right

/// Weights are held I×O, so that the inner loops run over outputs.
template <class Activation>
class NarrowConvolution final : public Convolution {
 public:
  explicit NarrowConvolution(const ConvolutionSpec& spec)
      : batch_(spec.batch),
        stride_(spec.window.stride),
        in_(spec.in),
        out_(spec.out),
        layout_({out_.channels, in_.channels, 1, 1}, dnnl::memory::data_type::f32,
                dnnl::memory::format_tag::iohw) {}

  const onednn::Desc& layout() const override { return layout_; }
  size_t scratch_bytes() const override { return 0; }
  size_t copy_bytes() const override { return 0; }
  void place(const float* weights, std::byte*) override { weights_ = weights; }
  void refresh() override {}

  Work forward(const void* x, void* y, Scratch, const Finish&) const override {
    return [=, this, from = static_cast<const Activation*>(x), to = static_cast<Activation*>(y)] {
      parallel_for(batch_ * out_.height, 8, [&](int64_t begin, int64_t end) {
        std::vector<float> sums(static_cast<size_t>(out_.channels));
        for (int64_t place = begin * out_.width; place < end * out_.width; ++place) {
          sum_outputs(from + input_at(place), sums.data());
          for (int64_t o = 0; o < out_.channels; ++o) {
            store_one(to + place * out_.channels + o, sums[static_cast<size_t>(o)]);
          }
        }
      });
    };
  }

  Work backward_data(const void* dy, void* dx, Scratch) const override {
    return [=, this, from = static_cast<const Activation*>(dy), to = static_cast<Activation*>(dx)] {
      parallel_for(batch_, 1, [&](int64_t begin, int64_t end) {
        std::fill(to + begin * in_.elements(), to + end * in_.elements(), Activation{});
        for (int64_t place = begin * out_.positions(); place < end * out_.positions(); ++place) {
          const Activation* slopes = from + place * out_.channels;
          for (int64_t i = 0; i < in_.channels; ++i) {
            float sum = 0;
            for (int64_t o = 0; o < out_.channels; ++o) {
              sum += load_one(slopes + o) * weights_[i * out_.channels + o];
            }
            store_one(to + input_at(place) + i, sum);
          }
        }
      });
    };
  }

  /// A thread has some outputs, so that sums do not depend on the threads.
  Work backward_weights(const void* x, const void* dy, float* gradient, Scratch) const override {
    return [=, this, input = static_cast<const Activation*>(x),
            slopes = static_cast<const Activation*>(dy)] {
      parallel_for(out_.channels, 4, [&](int64_t begin, int64_t end) {
        const int64_t width = end - begin;
        std::vector<double> sums(static_cast<size_t>(in_.channels * width), 0.0);
        for (int64_t place = 0; place < batch_ * out_.positions(); ++place) {
          const Activation* from = input + input_at(place);
          const Activation* slope = slopes + place * out_.channels + begin;
          for (int64_t i = 0; i < in_.channels; ++i) {
            const auto value = static_cast<double>(load_one(from + i));
            double* row = sums.data() + i * width;
            for (int64_t o = 0; o < width; ++o) {
              row[o] += value * static_cast<double>(load_one(slope + o));
            }
          }
        }
        for (int64_t i = 0; i < in_.channels; ++i) {
          std::transform(sums.begin() + i * width, sums.begin() + (i + 1) * width,
                         gradient + i * out_.channels + begin,
                         [](double sum) { return static_cast<float>(sum); });
        }
      });
    };
  }

 private:
  /// Where the input of an output place begins; places are numbered over the whole batch.
  int64_t input_at(int64_t place) const {
    const int64_t image = place / out_.positions(), at = place % out_.positions();
    const int64_t row = at / out_.width * stride_, column = at % out_.width * stride_;
    return ((image * in_.height + row) * in_.width + column) * in_.channels;
  }

  void sum_outputs(const Activation* x, float* sums) const {
    std::fill_n(sums, out_.channels, 0.0F);
    for (int64_t i = 0; i < in_.channels; ++i) {
      const float value = load_one(x + i);
      const float* row = weights_ + i * out_.channels;
      for (int64_t o = 0; o < out_.channels; ++o) sums[o] += value * row[o];
    }
  }

  int64_t batch_, stride_;
  Extent in_, out_;
  onednn::Desc layout_;
  const float* weights_ = nullptr;
};

}  // namespace

bool suits_narrow_convolution(const ConvolutionSpec& spec) {
  return spec.window.kernel == 1 && spec.window.stride > 1 && spec.in.channels < fewest_direct;
}

std::unique_ptr<Convolution> make_narrow_convolution(const ConvolutionSpec& spec) {
  if (spec.precision == Precision::bf16) return std::make_unique<NarrowConvolution<BFloat16>>(spec);
  return std::make_unique<NarrowConvolution<float>>(spec);
}

}  // namespace hardmoe::cpu
