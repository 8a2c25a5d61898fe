// The CPU engine's own loops at every width and length that takes another path through them,
// against double precision; updates worked by hand.
#include "engine/cpu/kernels.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/random.h"

namespace hardmoe::cpu {
namespace {

using Floats = std::vector<float>;

Floats draws(int64_t count, uint64_t stream) {
  Random random(23, RandomUse::test, stream);
  Floats values(static_cast<size_t>(count));
  for (float& value : values) value = random.normal();
  return values;
}

/// An activation array that owns its elements.
struct Array {
  Precision precision;
  Floats wide;
  std::vector<BFloat16> narrow;

  Array(Precision p, const Floats& values) : precision(p), wide(values), narrow(values.size()) {
    for (size_t i = 0; i < values.size(); ++i) narrow[i] = to_bfloat16(values[i]);
  }
  Activations view() {
    return precision == Precision::bf16 ? Activations{narrow.data(), precision}
                                        : Activations{wide.data(), precision};
  }
  double operator[](size_t i) const {
    return double{precision == Precision::bf16 ? hardmoe::to_float(narrow[i]) : wide[i]};
  }
};

class Kernels : public testing::TestWithParam<Precision> {
 protected:
  /// Half a unit in the last place of bf16, or some rounding of float.
  double rounding() const { return GetParam() == Precision::bf16 ? 0x1p-8 : 4e-6; }
};

// Widths with blocks of 4, 2 and 1 vectors of 16 and single columns; rows with and without a
// remainder, below and above a summing block, for one and for several threads.
TEST_P(Kernels, NormEqualsTheDefinition) {
  for (const int64_t channels : {1, 10, 16, 40, 64, 119}) {
    for (const int64_t rows : {1, 2, 7, 1100}) {
      SCOPED_TRACE(fmt::format("{}×{}", rows, channels));
      const auto columns = static_cast<size_t>(channels);
      const auto count = static_cast<size_t>(rows);
      Floats values = draws(rows * channels, 1);
      for (size_t i = 0; i < values.size(); ++i) values[i] += 3 * static_cast<float>(i % columns);
      Array x(GetParam(), values), dy(GetParam(), draws(rows * channels, 2));
      Array dy2(GetParam(), draws(rows * channels, 3)), residual(GetParam(), values);
      const Floats gamma = draws(channels, 4), beta = draws(channels, 5);
      Floats mean(columns), variance(columns), inverse(columns), scale(columns), shift(columns);
      auto workspace = norm_workspace(channels);
      norm_statistics(x.view(), rows, channels, mean.data(), variance.data(), workspace);
      for (size_t c = 0; c < columns; ++c) {
        double m = 0, v = 0;
        for (size_t r = 0; r < count; ++r) m += x[r * columns + c] / static_cast<double>(rows);
        for (size_t r = 0; r < count; ++r) {
          v += std::pow(x[r * columns + c] - m, 2) / static_cast<double>(rows);
        }
        EXPECT_NEAR(mean[c], m, 1e-6 * (1 + std::abs(m)));
        EXPECT_NEAR(variance[c], v, 1e-5 * v + 1e-9);
        inverse[c] = 1 / std::sqrt(variance[c] + batch_norm_epsilon);
        scale[c] = gamma[c] * inverse[c];
        shift[c] = beta[c] - mean[c] * scale[c];
      }
      if (rows == 1) continue;  // without deviation x̂ is rounding times 1/√epsilon

      for (const bool relu : {false, true}) {
        for (const bool added : {false, true}) {
          Array y(GetParam(), values);
          const Activations none{nullptr, GetParam()};
          norm_apply(x.view(), added ? residual.view() : none, scale.data(), shift.data(), relu,
                     rows, channels, y.view());
          for (size_t i = 0; i < values.size(); ++i) {
            const size_t c = i % columns;
            double expected = x[i] * double{scale[c]} + double{shift[c]};
            const double size = std::abs(expected) + std::abs(double{shift[c]}) + 1;
            if (added) expected += residual[i];
            if (relu) expected = std::max(expected, 0.0);
            const double room = rounding() * std::abs(expected) + 4e-7 * (size + std::abs(x[i]));
            ASSERT_NEAR(y[i], expected, room) << i << relu << added;
          }

          // Each way the engine calls the backward pass: with one gradient or two, kept or not.
          for (const bool two : {false, true}) {
            Array g(dy), dx(GetParam(), values);
            Floats d_gamma(columns), d_beta(columns);
            NormBackward args{};
            args.x = x.view();
            if (relu && added) args.y = y.view();
            args.dy = g.view();
            if (two) args.dy2 = dy2.view();
            args.keep_g = added || two;
            args.dx = args.keep_g ? dx.view() : g.view();
            args.gamma = gamma.data();
            args.mean = mean.data();
            args.inverse_deviation = inverse.data();
            args.scale = scale.data();
            args.shift = shift.data();
            args.d_gamma = d_gamma.data();
            args.d_beta = d_beta.data();
            args.relu = relu;
            args.rows = rows;
            args.channels = channels;
            norm_backward(args, workspace);
            for (size_t c = 0; c < columns; ++c) {
              const auto slope = [&](size_t i) {
                if (relu && !(y[i] > 0)) return 0.0;
                return two ? dy[i] + dy2[i] : dy[i];
              };
              const auto unit = [&](size_t i) {
                return (x[i] - double{mean[c]}) * double{inverse[c]};
              };
              double on_beta = 0, on_gamma = 0;
              for (size_t i = c; i < values.size(); i += columns) {
                on_beta += slope(i);
                on_gamma += slope(i) * unit(i);
              }
              const double room = 1e-5 * (std::sqrt(static_cast<double>(rows)) + 1);
              ASSERT_NEAR(d_beta[c], on_beta, room);
              ASSERT_NEAR(d_gamma[c], on_gamma, room);
              for (size_t i = c; i < values.size(); i += columns) {
                const double n = static_cast<double>(rows);
                const double expected =
                    double{scale[c]} * (slope(i) - on_beta / n - unit(i) * on_gamma / n);
                const double found = args.keep_g ? dx[i] : g[i];
                // The kernel adds up in x, not in x̂: what is lost grows with mean/deviation.
                const double moved = std::abs(double{mean[c]} * double{inverse[c]} * on_gamma) / n;
                ASSERT_NEAR(found, expected,
                            rounding() * (std::abs(expected) + std::abs(slope(i) * scale[c])) +
                                1e-6 * std::abs(double{scale[c]}) * (moved + 10));
                if (args.keep_g) {
                  ASSERT_NEAR(g[i], slope(i), rounding() * std::abs(slope(i)));
                }
              }
            }
          }
        }
      }
    }
  }
}

// A diverged activation must stay visible: hidden by the ReLU, the loss would look healthy.
TEST_P(Kernels, NormKeepsWhatIsUndefined) {
  const float undefined = std::numeric_limits<float>::quiet_NaN();
  for (const int64_t channels : {3, 16, 40}) {
    Floats values = draws(2 * channels, 10);
    values[1] = undefined;
    Array x(GetParam(), values), y(GetParam(), values);
    const Floats scale(static_cast<size_t>(channels), 1), shift(static_cast<size_t>(channels), 0);
    for (const bool relu : {false, true}) {
      norm_apply(x.view(), {nullptr, GetParam()}, scale.data(), shift.data(), relu, 2, channels,
                 y.view());
      EXPECT_TRUE(std::isnan(y[1])) << channels << " channels";
    }
  }
}

TEST_P(Kernels, ImagesAreNormalised) {
  const float mean[3] = {123.675F, 116.28F, 103.53F}, deviation[3] = {58.395F, 57.12F, 57.375F};
  for (const int64_t pixels : {1, 255, 256, 257, 20'000}) {
    std::vector<uint8_t> image(static_cast<size_t>(3 * pixels));
    for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<uint8_t>(i * 37 % 256);
    Array out(GetParam(), Floats(image.size()));
    normalize_images(image.data(), pixels, mean, deviation, out.view());
    for (size_t i = 0; i < image.size(); ++i) {
      const double expected =
          (static_cast<double>(image[i]) - double{mean[i % 3]}) / double{deviation[i % 3]};
      ASSERT_NEAR(out[i], expected, rounding() * std::abs(expected) + 1e-6) << i;
    }
  }
}

TEST_P(Kernels, SumsAndConversionsRoundToNearest) {
  for (const int64_t n : {1, 15, 16, 17, 100, 40'000}) {
    const Floats a = draws(n, 6), b = draws(n, 7);
    Array left(GetParam(), a), right(GetParam(), b), copy(GetParam(), Floats(a.size()));
    convert(a.data(), n, copy.view());
    Floats back(a.size());
    to_float(copy.view(), n, back.data());
    std::vector<double> sums;
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(back[i], static_cast<float>(left[i]));
      sums.push_back(left[i] + right[i]);
    }
    add_in_place(left.view(), right.view(), n);
    for (size_t i = 0; i < a.size(); ++i) {
      const float exact = static_cast<float>(sums[i]);
      ASSERT_EQ(left[i], GetParam() == Precision::bf16
                             ? double{hardmoe::to_float(to_bfloat16(exact))}
                             : double{exact});
    }
  }
}

TEST_P(Kernels, AveragePoolEqualsTheMean) {
  for (const int64_t channels : {1, 10, 16, 67}) {
    for (const int64_t positions : {1, 35, 400}) {
      const int64_t n = 5;
      const auto c_count = static_cast<size_t>(channels), p_count = static_cast<size_t>(positions);
      Array x(GetParam(), draws(n * positions * channels, 8));
      Floats out(static_cast<size_t>(n * channels));
      average_pool(x.view(), n, positions, channels, out.data());
      Array dy(GetParam(), out), dx(GetParam(), Floats(x.wide.size()));
      average_pool_backward(dy.view(), n, positions, channels, dx.view());
      for (size_t i = 0; i < out.size(); ++i) {
        double sum = 0;
        const size_t first = i / c_count * p_count * c_count + i % c_count;
        for (size_t p = 0; p < p_count; ++p) sum += x[first + p * c_count];
        ASSERT_NEAR(out[i], sum / static_cast<double>(positions), 1e-6);
        const double share = dy[i] / static_cast<double>(positions);
        for (size_t p = 0; p < p_count; ++p) {
          ASSERT_NEAR(dx[first + p * c_count], share, rounding() * std::abs(share));
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, Kernels, testing::Values(Precision::fp32, Precision::bf16),
                         [](const auto& precision) {
                           return precision.param == Precision::fp32 ? "fp32" : "bf16";
                         });

// ---- updates, worked by hand

struct UpdateState {
  Floats weights, first, second;
};

/// n equal weights of 1, so that vectors and their remainder are both seen.
/// `origin`: w⁰, for a pull.
UpdateState updated(const OptimizerSpec& spec, const Floats& gradients, float first,
                    float origin = 0) {
  constexpr size_t n = 37;
  const Floats origins(n, origin);
  UpdateState state{Floats(n, 1), Floats(n, first), Floats(n, 0)};
  int64_t step = 1;
  for (const float gradient : gradients) {
    const Floats all(n, gradient);
    update_weights({spec, 0.1F, step++, state.weights.data(), all.data(), state.first.data(),
                    state.second.data(), n, origins.data()});
  }
  for (const float weight : state.weights) EXPECT_EQ(weight, state.weights[0]);
  return state;
}

TEST(Updates, OfSgdWithMomentumFollowTheFormula) {
  OptimizerSpec spec;  // momentum 0.9
  spec.weight_decay = 0.1F;
  spec.nesterov = false;
  // g = 0.5 + 0.1·1 = 0.6; v = 0.9·0.2 + 0.6 = 0.78; w = 1 − 0.1·0.78
  const UpdateState plain = updated(spec, {0.5F}, 0.2F);
  EXPECT_FLOAT_EQ(plain.first[0], 0.78F);
  EXPECT_FLOAT_EQ(plain.weights[0], 0.922F);
  spec.nesterov = true;  // w = 1 − 0.1·(0.6 + 0.9·0.78)
  EXPECT_FLOAT_EQ(updated(spec, {0.5F}, 0.2F).weights[0], 0.8698F);
  spec.momentum = 0;
  EXPECT_FLOAT_EQ(updated(spec, {0.5F}, 0).weights[0], 0.94F);
}

TEST(Updates, OfAdamWFollowTheFormula) {
  OptimizerSpec spec;
  spec.kind = OptimizerKind::adamw;
  spec.weight_decay = 0.01F;
  // Step 1: m̂ = 0.5, √v̂ = 0.5; w = 1·(1 − 0.1·0.01) − 0.1·1
  EXPECT_NEAR(updated(spec, {0.5F}, 0).weights[0], 0.899, 1e-6);
  // Step 2 with g = −1: m = 0.9·0.05 − 0.1 = −0.055, m̂ = −0.055/0.19;
  // v = 0.999·0.00025 + 0.001 = 0.00124975, v̂ = v/0.001999; w = 0.899·0.999 +
  // 0.1·0.2894737/0.7906878
  const UpdateState state = updated(spec, {0.5F, -1}, 0);
  EXPECT_NEAR(state.first[0], -0.055, 1e-7);
  EXPECT_NEAR(state.second[0], 0.00124975, 2e-8);
  EXPECT_NEAR(state.weights[0], 0.9347113, 2e-6);
}

// L2-SP: as a decay of w − w⁰, beside that of w.
TEST(Updates, PullTowardTheFirstWeights) {
  OptimizerSpec sgd;
  sgd.weight_decay = 0.1F;
  sgd.pull = 0.5F;
  sgd.nesterov = false;
  // g = 0.5 + 0.1·1 + 0.5·(1 − 1.4) = 0.4; v = 0.9·0.2 + 0.4 = 0.58; w = 1 − 0.1·0.58
  EXPECT_FLOAT_EQ(updated(sgd, {0.5F}, 0.2F, 1.4F).weights[0], 0.942F);
  OptimizerSpec adamw;
  adamw.kind = OptimizerKind::adamw;
  adamw.weight_decay = 0.01F;
  adamw.pull = 0.5F;
  // As without it, 0.899, and 0.1·0.5·(1 − 1.4) less; the moments know nothing of it.
  const UpdateState state = updated(adamw, {0.5F}, 0, 1.4F);
  EXPECT_NEAR(state.weights[0], 0.919, 1e-6);
  EXPECT_NEAR(state.first[0], 0.05, 1e-7);
}

TEST(Updates, KeepTheAverageOfWeights) {
  const Floats weights(37, 2);
  Floats average(37, 1);
  average_weights(0.9F, weights.data(), average.data(), 37);
  for (const float value : average) EXPECT_FLOAT_EQ(value, 1.1F);
}

}  // namespace
}  // namespace hardmoe::cpu
