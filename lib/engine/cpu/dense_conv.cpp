#include "engine/cpu/dense_conv.h"

#include <algorithm>

#include "base/threads.h"

namespace hardmoe::cpu {

bool suits_dense_conv(const Op& op, const Extent& in, const Extent& out, Precision precision) {
  const int64_t taps = static_cast<int64_t>(op.kernel) * op.kernel;
  const int64_t places = in.height * in.width * out.height * out.width;
  return in.height * in.width < taps && (precision == Precision::bf16 || places <= taps);
}

DenseConv dense_conv(const Op& op, const Extent& in, const Extent& out) {
  DenseConv conv{in.channels, out.channels, in.height * in.width, out.height * out.width, {}, {}};
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < out.width; ++x) {
      for (int64_t v = 0; v < in.height; ++v) {
        for (int64_t u = 0; u < in.width; ++u) {
          const int64_t row = v - y * op.stride + op.padding;
          const int64_t column = u - x * op.stride + op.padding;
          const bool seen = row >= 0 && row < op.kernel && column >= 0 && column < op.kernel;
          conv.taps.push_back(seen ? static_cast<int>(row * op.kernel + column) : -1);
        }
      }
    }
  }
  const int64_t plane = out.channels * in.channels;
  conv.weights =
      onednn::Desc({out.channels, in.channels, op.kernel, op.kernel}, dnnl::memory::data_type::f32,
                   dnnl::memory::dims{in.channels, 1, op.kernel * plane, plane});
  return conv;
}

void expand(const DenseConv& conv, const float* weights, Activations matrix) {
  const int64_t width = conv.in_channels;
  const int64_t plane = conv.out_channels * width;
  parallel_for(conv.matrix_rows(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t p = row / conv.out_channels;
      const int64_t o = row % conv.out_channels;
      for (int64_t q = 0; q < conv.in_positions; ++q) {
        const int tap = conv.taps[static_cast<size_t>(p * conv.in_positions + q)];
        if (tap < 0) continue;
        const float* from = weights + tap * plane + o * width;
        const int64_t at = row * conv.matrix_columns() + q * width;
        if (matrix.precision == Precision::bf16) {
          to_bf16(from, width, static_cast<BFloat16*>(matrix.data) + at);
        } else {
          std::copy_n(from, width, static_cast<float*>(matrix.data) + at);
        }
      }
    }
  });
}

void fold(const DenseConv& conv, const float* matrix_gradient, float* weight_gradient) {
  const int64_t width = conv.in_channels;
  const int64_t plane = conv.out_channels * width;
  const int64_t taps = static_cast<int64_t>(conv.weights.get_size() / sizeof(float)) / plane;
  parallel_for(conv.out_channels, 4, [&](int64_t begin, int64_t end) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t o = begin; o < end; ++o) {
        float* sum = weight_gradient + tap * plane + o * width;
        std::fill_n(sum, width, 0.0F);
        for (size_t place = 0; place < conv.taps.size(); ++place) {
          if (conv.taps[place] != tap) continue;
          const int64_t p = static_cast<int64_t>(place) / conv.in_positions;
          const int64_t q = static_cast<int64_t>(place) % conv.in_positions;
          add_to(sum,
                 matrix_gradient + (p * conv.out_channels + o) * conv.matrix_columns() + q * width,
                 width);
        }
      }
    }
  });
}

}  // namespace hardmoe::cpu
