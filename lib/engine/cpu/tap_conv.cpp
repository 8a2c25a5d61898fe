#include "engine/cpu/tap_conv.h"

#include <algorithm>
#include <array>

#include "base/threads.h"
#include "engine/cpu/taps.h"
#include "tensor/tile_product.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t lanes = 16;
constexpr int64_t row_block = 96;  // rows of one product: a multiple of its 6
alignas(64) constexpr std::array<float, 64> no_start = {};

int64_t padded(int64_t n) { return (n + lanes - 1) / lanes * lanes; }

/// A range of one thread's share, cut into `blocks` of row_block.
struct Rows {
  int64_t begin, count;
};
int64_t blocks_of(int64_t rows) { return (rows + row_block - 1) / row_block; }
Rows rows_of_block(int64_t rows, int64_t block) {
  return {block * row_block, std::min(row_block, rows - block * row_block)};
}

class TapConvolution final : public Convolution {
 public:
  explicit TapConvolution(const ConvolutionSpec& spec)
      : batch_(spec.batch),
        in_(spec.in.channels),
        out_(spec.out.channels),
        in_positions_(spec.in.height * spec.in.width),
        out_positions_(spec.out.height * spec.out.width),
        window_(int64_t{spec.window.kernel} * spec.window.kernel),
        panel_(out_ % 64 == 0 ? 64 : lanes),
        taps_(joined_positions(spec.window, spec.in, spec.out)),
        layout_(
            {out_, in_, spec.window.kernel, spec.window.kernel}, dnnl::memory::data_type::f32,
            panel_ == 64 ? dnnl::memory::format_tag::Ohwi64o : dnnl::memory::format_tag::Ohwi16o) {
    // One tap's weights are read for all its pairs of positions in turn.
    std::stable_sort(taps_.begin(), taps_.end(),
                     [](const Tap& a, const Tap& b) { return a.tap < b.tap; });
  }

  const onednn::Desc& layout() const override { return layout_; }
  size_t scratch_bytes() const override {
    const int64_t turned = padded(batch_) * (in_positions_ * in_ + out_positions_ * out_);
    const int64_t packed = batch_ * (in_positions_ * packed_row() + out_positions_ * out_);
    return static_cast<size_t>(std::max(turned, packed)) * sizeof(float);
  }
  size_t copy_bytes() const override { return 0; }
  void place(const float* weights, std::byte*) override { weights_ = weights; }
  void refresh() override {}

  Work forward(const void* x, void* y, Scratch, const Finish&) const override {
    return [=, this, from = static_cast<const float*>(x), to = static_cast<float*>(y)] {
      run_forward(from, to);
    };
  }
  Work backward_data(const void* dy, void* dx, Scratch scratch) const override {
    return [=, this, from = static_cast<const float*>(dy), to = static_cast<float*>(dx),
            room = static_cast<float*>(scratch.data)] { run_backward_data(from, to, room); };
  }
  Work backward_weights(const void* x, const void* dy, float* gradient,
                        Scratch scratch) const override {
    return [=, this, input = static_cast<const float*>(x), slope = static_cast<const float*>(dy),
            room = static_cast<float*>(scratch.data)] {
      run_backward_weights(input, slope, gradient, room);
    };
  }

 private:
  int64_t panels() const { return out_ / panel_; }
  /// Where the I×panel weights of a panel of outputs and a tap begin.
  int64_t weights_at(int64_t panel, int64_t tap) const {
    return (panel * window_ + tap) * in_ * panel_;
  }
  /// Rows of packed inputs are not a multiple of a page apart: they are read column by column.
  int64_t packed_row() const { return in_ + lanes; }

  void run_forward(const float* x, float* y) const {
    const int64_t blocks = blocks_of(batch_);
    parallel_for(panels() * blocks, 1, [&](int64_t begin, int64_t end) {
      std::vector<char> begun(static_cast<size_t>(out_positions_));
      for (int64_t item = begin; item < end; ++item) {
        const int64_t p = item / blocks;
        const Rows rows = rows_of_block(batch_, item % blocks);
        std::fill(begun.begin(), begun.end(), 0);
        for (const Tap& tap : taps_) {
          float* out = y + (rows.begin * out_positions_ + tap.output) * out_ + p * panel_;
          char& summed = begun[static_cast<size_t>(tap.output)];
          multiply({.a = x + (rows.begin * in_positions_ + tap.input) * in_,
                    .row_stride = in_positions_ * in_,
                    .depth_stride = 1,
                    .b = weights_ + weights_at(p, tap.tap),
                    .b_stride = panel_,
                    .start = summed ? out : no_start.data(),
                    .start_stride = summed ? out_positions_ * out_ : 0,
                    .out = out,
                    .out_stride = out_positions_ * out_,
                    .rows = rows.count,
                    .columns = panel_,
                    .depth = in_});
          summed = 1;
        }
      }
    });
  }

  /// dxᵀ = W·dyᵀ, place by place: with the batch as columns the weights need no transposing.
  void run_backward_data(const float* dy, float* dx, float* room) const {
    const int64_t columns = padded(batch_);
    float* slopes = room;                                    // places × O × columns
    float* sums = slopes + out_positions_ * out_ * columns;  // places × I × columns
    parallel_for(out_positions_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t place = begin; place < end; ++place) {
        for (int64_t n = 0; n < columns; ++n) {
          const float* from = dy + (n * out_positions_ + place) * out_;
          float* to = slopes + place * out_ * columns + n;
          for (int64_t o = 0; o < out_; ++o) to[o * columns] = n < batch_ ? from[o] : 0.0F;
        }
      }
    });
    const int64_t blocks = blocks_of(in_);
    parallel_for(in_positions_ * blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t place = item / blocks;
        const Rows rows = rows_of_block(in_, item % blocks);
        float* out = sums + (place * in_ + rows.begin) * columns;
        std::fill_n(out, rows.count * columns, 0.0F);
        for (const Tap& tap : taps_) {
          if (tap.input != place) continue;
          for (int64_t p = 0; p < panels(); ++p) {
            multiply({.a = weights_ + weights_at(p, tap.tap) + rows.begin * panel_,
                      .row_stride = panel_,
                      .depth_stride = 1,
                      .b = slopes + (tap.output * out_ + p * panel_) * columns,
                      .b_stride = columns,
                      .start = out,
                      .start_stride = columns,
                      .out = out,
                      .out_stride = columns,
                      .rows = rows.count,
                      .columns = columns,
                      .depth = panel_});
          }
        }
      }
    });
    parallel_for(batch_, 8, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        float* to = dx + n * in_positions_ * in_;
        for (int64_t i = 0; i < in_positions_ * in_; ++i) to[i] = sums[i * columns + n];
      }
    });
  }

  void run_backward_weights(const float* x, const float* dy, float* gradient, float* room) const {
    float* inputs = room;                                            // places × N × packed_row()
    float* slopes = inputs + in_positions_ * batch_ * packed_row();  // panels × places × N × panel
    parallel_for(batch_, 8, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        for (int64_t place = 0; place < in_positions_; ++place) {
          std::copy_n(x + (n * in_positions_ + place) * in_, in_,
                      inputs + (place * batch_ + n) * packed_row());
        }
        for (int64_t place = 0; place < out_positions_; ++place) {
          for (int64_t p = 0; p < panels(); ++p) {
            std::copy_n(dy + (n * out_positions_ + place) * out_ + p * panel_, panel_,
                        slopes + ((p * out_positions_ + place) * batch_ + n) * panel_);
          }
        }
      }
    });
    const int64_t blocks = blocks_of(in_);
    parallel_for(panels() * blocks, 1, [&](int64_t begin, int64_t end) {
      std::vector<char> begun(static_cast<size_t>(window_));
      for (int64_t item = begin; item < end; ++item) {
        const int64_t p = item / blocks;
        const Rows rows = rows_of_block(in_, item % blocks);
        std::fill(begun.begin(), begun.end(), 0);
        const auto sum_of = [&](int64_t tap) {
          return gradient + weights_at(p, tap) + rows.begin * panel_;
        };
        for (const Tap& tap : taps_) {
          char& summed = begun[static_cast<size_t>(tap.tap)];
          multiply({.a = inputs + tap.input * batch_ * packed_row() + rows.begin,
                    .row_stride = 1,
                    .depth_stride = packed_row(),
                    .b = slopes + (p * out_positions_ + tap.output) * batch_ * panel_,
                    .b_stride = panel_,
                    .start = summed ? sum_of(tap.tap) : no_start.data(),
                    .start_stride = summed ? panel_ : 0,
                    .out = sum_of(tap.tap),
                    .out_stride = panel_,
                    .rows = rows.count,
                    .columns = panel_,
                    .depth = batch_});
          summed = 1;
        }
        for (int64_t tap = 0; tap < window_; ++tap) {
          if (!begun[static_cast<size_t>(tap)]) std::fill_n(sum_of(tap), rows.count * panel_, 0.0F);
        }
      }
    });
  }

  int64_t batch_, in_, out_, in_positions_, out_positions_, window_, panel_;
  std::vector<Tap> taps_;
  onednn::Desc layout_;
  const float* weights_ = nullptr;
};

}  // namespace

bool suits_tap_convolution(const ConvolutionSpec& spec) {
  if (spec.precision != Precision::fp32 || spec.in.channels % lanes != 0 ||
      spec.out.channels % lanes != 0) {
    return false;
  }
  const auto taps = joined_positions(spec.window, spec.in, spec.out);
  const auto places = static_cast<size_t>(spec.out.height * spec.out.width);
  const auto window =
      static_cast<size_t>(spec.window.kernel) * static_cast<size_t>(spec.window.kernel);
  // Gains from 3/4 of the multiplications down; passes sum into every place of both maps.
  const auto all_joined = [&](size_t count, int64_t Tap::*side) {
    std::vector<char> seen(count);
    for (const Tap& tap : taps) seen[static_cast<size_t>(tap.*side)] = 1;
    return std::find(seen.begin(), seen.end(), 0) == seen.end();
  };
  return taps.size() * 4 <= places * window * 3 && all_joined(places, &Tap::output) &&
         all_joined(static_cast<size_t>(spec.in.height * spec.in.width), &Tap::input);
}

std::unique_ptr<Convolution> make_tap_convolution(const ConvolutionSpec& spec) {
  return std::make_unique<TapConvolution>(spec);
}

}  // namespace hardmoe::cpu
