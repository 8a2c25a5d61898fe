// Every way the CPU engine has to compute a convolution, against the sums that define it.
#include "engine/cpu/convolution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"
#include "tensor/tensor.h"

namespace hardmoe::cpu {
namespace {

Tensor normal_values(const Shape& shape, uint64_t stream) {
  Tensor tensor(DType::f32, shape);
  Random random(11, RandomUse::test, stream);
  for (float& value : tensor.as<float>()) value = random.normal();
  return tensor;
}

/// The three passes by definition, in double precision: x, dy in NHWC, weights O×I×K×K.
struct Sums {
  std::vector<double> y, dx, dw;
};
Sums sums_of(const ConvolutionSpec& s, const Tensor& x, const Tensor& w, const Tensor& dy) {
  Sums sums;
  sums.y.resize(static_cast<size_t>(dy.elements()));
  sums.dx.resize(static_cast<size_t>(x.elements()));
  sums.dw.resize(static_cast<size_t>(w.elements()));
  const float *xs = x.as<float>().data(), *ws = w.as<float>().data(), *gs = dy.as<float>().data();
  const int64_t in = s.in.channels, out = s.out.channels, k = s.window.kernel;
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t at = 0; at < s.out.height * s.out.width; ++at) {
      for (int64_t tap = 0; tap < k * k; ++tap) {
        const int64_t row = at / s.out.width * s.window.stride + tap / k - s.window.padding;
        const int64_t column = at % s.out.width * s.window.stride + tap % k - s.window.padding;
        if (row < 0 || row >= s.in.height || column < 0 || column >= s.in.width) continue;
        const int64_t from = ((n * s.in.height + row) * s.in.width + column) * in;
        const int64_t to = (n * s.out.height * s.out.width + at) * out;
        for (int64_t o = 0; o < out; ++o) {
          for (int64_t i = 0; i < in; ++i) {
            const int64_t weight = (o * in + i) * k * k + tap;
            sums.y[static_cast<size_t>(to + o)] += double{xs[from + i]} * double{ws[weight]};
            sums.dx[static_cast<size_t>(from + i)] += double{gs[to + o]} * double{ws[weight]};
            sums.dw[static_cast<size_t>(weight)] += double{gs[to + o]} * double{xs[from + i]};
          }
        }
      }
    }
  }
  return sums;
}

/// Largest difference as a share of the largest value.
double error_of(const Tensor& found, const std::vector<double>& expected) {
  double error = 0, largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    error = std::max(error, std::abs(double{found.as<float>()[i]} - expected[i]));
    largest = std::max(largest, std::abs(expected[i]));
  }
  return error / largest;
}

/// An array that is written by others, with room behind it that nobody may write to.
class Guarded {
 public:
  Guarded(int64_t floats, uint64_t stream)
      : floats_(floats),
        values_(normal_values({floats + guard}, stream)),
        before_(values_.clone()) {}
  float* data() { return values_.as<float>().data(); }
  Tensor take(const Shape& shape) {
    const auto now = values_.as<float>().subspan(static_cast<size_t>(floats_));
    const auto before = before_.as<float>().subspan(static_cast<size_t>(floats_));
    EXPECT_TRUE(std::equal(now.begin(), now.end(), before.begin())) << "written beyond the end";
    Tensor result(DType::f32, shape);
    std::copy_n(data(), floats_, result.as<float>().data());
    return result;
  }

 private:
  static constexpr int64_t guard = 4096;
  int64_t floats_;
  Tensor values_, before_;
};

/// The right answers, over whatever was in the outputs and the scratch before.
void expect_three_passes(const ConvolutionSpec& spec) {
  const Shape shape = {spec.out.channels, spec.in.channels, spec.window.kernel, spec.window.kernel};
  const Tensor x = normal_values({spec.batch, spec.in.height, spec.in.width, spec.in.channels}, 1);
  const Tensor dy =
      normal_values({spec.batch, spec.out.height, spec.out.width, spec.out.channels}, 2);
  const Tensor w = normal_values(shape, 3);
  const Sums expected = sums_of(spec, x, w, dy);

  const auto convolution = make_convolution(spec);
  const auto floats = static_cast<int64_t>(convolution->layout().get_size() / sizeof(float));
  Tensor held = normal_values({floats}, 4);
  const onednn::Desc plain = onednn::plain_weight(shape);
  onednn::Reorder(plain, convolution->layout()).run(w.data(), held.data());
  Tensor copies(DType::u8, {static_cast<int64_t>(convolution->copy_bytes())});
  convolution->place(held.as<float>().data(), copies.data());
  convolution->refresh();

  const auto room_floats = static_cast<int64_t>(convolution->scratch_bytes() / 4) + 1;
  Guarded gradient(floats, 5), room(room_floats, 6), y(dy.elements(), 7), dx(x.elements(), 8);
  const Scratch scratch = {room.data(), convolution->scratch_bytes()};
  convolution->forward(x.data(), y.data(), scratch, {})();
  convolution->backward_data(dy.data(), dx.data(), scratch)();
  convolution->backward_weights(x.data(), dy.data(), gradient.data(), scratch)();
  room.take({room_floats});
  const Tensor gradients = gradient.take({floats});
  Tensor dw(DType::f32, shape);
  onednn::Reorder(convolution->layout(), plain).run(gradients.data(), dw.data());
  // F(4×4,3×3) rounds about three times as much as a plain sum.
  EXPECT_LT(error_of(y.take(dy.shape()), expected.y), 3e-6);
  EXPECT_LT(error_of(dx.take(x.shape()), expected.dx), 3e-6);
  EXPECT_LT(error_of(dw, expected.dw), 3e-6);
}

ConvolutionSpec convolution_of(Extent in, int64_t out, int kernel, int stride, int64_t batch) {
  const int padding = kernel / 2;
  const auto side = [&](int64_t n) { return (n + 2 * padding - kernel) / stride + 1; };
  return {"tested",
          {kernel, stride, padding},
          in,
          {side(in.height), side(in.width), out},
          batch,
          Precision::fp32,
          {.weights = true, .data = true}};
}

TEST(Convolution, EveryWayGivesTheSumsThatDefineIt) {
  const int threads_before = compute_threads();
  for (const int threads : {1, 2, 7}) {
    set_compute_threads(threads);
    for (const ConvolutionSpec& spec :
         {convolution_of({8, 8, 16}, 16, 3, 1, 3),     // 2×2 tiles
          convolution_of({5, 7, 48}, 80, 3, 1, 2),     // tiles over the edge, panels of two widths
          convolution_of({4, 4, 64}, 128, 3, 1, 64),   // several blocks of tiles
          convolution_of({12, 4, 16}, 144, 3, 1, 1),   // fewer tiles than threads
          convolution_of({8, 8, 32}, 48, 3, 1, 10),    // 4×4 tiles
          convolution_of({7, 14, 16}, 80, 3, 1, 8),    // over the edge, panels of two widths
          convolution_of({4, 4, 144}, 32, 3, 1, 80),   // several blocks
          convolution_of({4, 4, 192}, 192, 3, 1, 40),  // sums of panels, not of tiles
          convolution_of({2, 2, 64}, 64, 3, 1, 33),    // small maps, tap by tap
          convolution_of({3, 2, 112}, 48, 3, 1, 5),    //
          convolution_of({4, 4, 32}, 64, 3, 2, 18),    //
          convolution_of({1, 1, 32}, 16, 3, 1, 100),   // eight taps that join nothing
          convolution_of({4, 4, 16}, 32, 7, 2, 3),     //
          convolution_of({6, 6, 16}, 32, 1, 2, 4),     // the library's own
          convolution_of({6, 6, 12}, 20, 3, 1, 2),
          convolution_of({8, 8, 1}, 2, 1, 2, 5),  // few channels
          convolution_of({5, 7, 3}, 16, 1, 2, 3),
          convolution_of({9, 9, 4}, 8, 1, 2, 4),
          convolution_of({7, 4, 7}, 20, 1, 3, 2),
          convolution_of({8, 8, 4}, 4, 3, 1, 5),
          convolution_of({8, 8, 4}, 8, 3, 2, 5),
          convolution_of({9, 9, 1}, 2, 3, 2, 3),
          convolution_of({8, 8, 3}, 4, 3, 1, 2),
          convolution_of({5, 5, 2}, 8, 1, 1, 6)}) {
      SCOPED_TRACE(fmt::format("{} threads, {}×{}×{} to {}, kernel {}, stride {}", threads,
                               spec.in.height, spec.in.width, spec.in.channels, spec.out.channels,
                               spec.window.kernel, spec.window.stride));
      expect_three_passes(spec);
    }
  }
  set_compute_threads(threads_before);
}

/// The sums, then what the header of Finish says.
std::vector<double> finished(std::vector<double> sums, const Finish& finish, int64_t channels) {
  for (size_t i = 0; i < sums.size(); ++i) {
    if (finish.bias) sums[i] += double{finish.bias[i % static_cast<size_t>(channels)]};
    if (finish.residual) sums[i] += double{static_cast<const float*>(finish.residual)[i]};
    if (finish.relu) sums[i] = std::max(sums[i], 0.0);
  }
  return sums;
}

/// y of inference in float32; with `in_place` the residual lies in y.
Tensor inference_of(const ConvolutionSpec& spec, const Tensor& x, const Tensor& w,
                    const Finish& finish, bool in_place) {
  const auto convolution = make_convolution(spec);
  const onednn::Desc plain = onednn::plain_weight(w.shape());
  Tensor held(DType::u8, {static_cast<int64_t>(convolution->layout().get_size())});
  onednn::Reorder(plain, convolution->layout()).run(w.data(), held.data());
  Tensor copies(DType::u8, {static_cast<int64_t>(convolution->copy_bytes())});
  convolution->place(reinterpret_cast<const float*>(held.data()), copies.data());
  convolution->refresh();
  const int64_t elements = spec.batch * spec.out.elements();
  const auto room_floats = static_cast<int64_t>(convolution->scratch_bytes() / 4) + 1;
  Guarded room(room_floats, 6), y(elements, 7);
  Finish asked = finish;
  if (in_place) {
    std::copy_n(static_cast<const float*>(finish.residual), elements, y.data());
    asked.residual = y.data();
  }
  convolution->forward(x.data(), y.data(), {room.data(), convolution->scratch_bytes()}, asked)();
  room.take({room_floats});
  return y.take({elements});
}

TEST(Convolution, EveryWayFinishesItsSums) {
  for (ConvolutionSpec spec : {convolution_of({6, 6, 32}, 48, 3, 1, 3),     // 2×2 tiles
                               convolution_of({8, 9, 16}, 80, 3, 1, 8),     // 4×4 tiles
                               convolution_of({16, 16, 32}, 80, 3, 2, 12),  // 4×4 tiles of stride 2
                               convolution_of({15, 17, 16}, 16, 3, 2, 30),  // over the edge
                               convolution_of({2, 2, 64}, 64, 3, 1, 5),     // tap by tap
                               convolution_of({5, 7, 3}, 16, 1, 2, 3),      // few channels
                               convolution_of({6, 6, 12}, 20, 3, 1, 2)}) {  // the library's own
    const Shape shape = {spec.out.channels, spec.in.channels, spec.window.kernel,
                         spec.window.kernel};
    const Tensor x =
        normal_values({spec.batch, spec.in.height, spec.in.width, spec.in.channels}, 1);
    const Tensor w = normal_values(shape, 3), bias = normal_values({spec.out.channels}, 4);
    const Tensor residual = normal_values({spec.batch * spec.out.elements()}, 5);
    const Tensor slopes =
        normal_values({spec.batch, spec.out.height, spec.out.width, spec.out.channels}, 2);
    const Sums sums = sums_of(spec, x, w, slopes);
    spec.needs = {};
    for (const FinishKind& kind :
         {FinishKind{}, FinishKind{.bias = true}, FinishKind{.bias = true, .relu = true},
          FinishKind{.bias = true, .residual = true},
          FinishKind{.bias = true, .residual = true, .relu = true}}) {
      SCOPED_TRACE(fmt::format("{}×{}×{} to {}, stride {}: bias {}, residual {}, relu {}",
                               spec.in.height, spec.in.width, spec.in.channels, spec.out.channels,
                               spec.window.stride, kind.bias, kind.residual, kind.relu));
      spec.finish = kind;
      const Finish finish = {kind.bias ? bias.as<float>().data() : nullptr,
                             kind.residual ? residual.data() : nullptr, kind.relu};
      const auto expected = finished(sums.y, finish, spec.out.channels);
      EXPECT_LT(error_of(inference_of(spec, x, w, finish, false), expected), 3e-6);
      if (kind.residual) {
        EXPECT_LT(error_of(inference_of(spec, x, w, finish, true), expected), 3e-6);
      }
    }
  }
}

}  // namespace
}  // namespace hardmoe::cpu
