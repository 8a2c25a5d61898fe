// Batch norm on the device against the CPU engine's, at widths with and without wide accesses, one
// and several blocks side by side, rows with and without remainders, and with every option.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "device_array.h"
#include "nn/network.h"

namespace hardmoe::cuda {
namespace {

using Norms = CudaKernels;

constexpr int64_t widths[] = {1, 3, 8, 10, 24, 64, 67, 264};
constexpr int64_t lengths[] = {1, 2, 49, 700};

/// Parameters and state of a norm over C channels.
struct NormArrays {
  Device<float> gamma, beta, running_mean, running_var, mean, inverse, scale, shift, workspace;
  NormArrays(int64_t rows, int64_t channels)
      : gamma(draws(channels, 4)),
        beta(draws(channels, 5)),
        running_mean(draws(channels, 6)),
        running_var(draws(channels, 7)),
        mean(static_cast<size_t>(channels)),
        inverse(static_cast<size_t>(channels)),
        scale(static_cast<size_t>(channels)),
        shift(static_cast<size_t>(channels)),
        workspace(static_cast<size_t>(norm_workspace_floats(rows, channels))) {}
  NormState state() const { return {mean.data(), inverse.data(), scale.data(), shift.data()}; }
};

NormStatistics statistics_args(const NormArrays& arrays, Activations x, int64_t rows,
                               int64_t channels) {
  NormStatistics args;
  args.x = x;
  args.rows = rows;
  args.channels = channels;
  args.gamma = arrays.gamma.data();
  args.beta = arrays.beta.data();
  args.running_mean = arrays.running_mean.data();
  args.running_var = arrays.running_var.data();
  args.state = arrays.state();
  args.workspace = arrays.workspace.data();
  return args;
}

/// Values with another mean in every channel.
Floats inputs(int64_t rows, int64_t channels) {
  Floats values = draws(rows * channels, 1);
  const auto columns = static_cast<size_t>(channels);
  for (size_t i = 0; i < values.size(); ++i) values[i] += 3 * static_cast<float>(i % columns % 7);
  return values;
}

struct HostState {
  Floats mean, variance, inverse, scale, shift, running_mean, running_var;
};

/// As cpu/compile.cpp works it out.
HostState host_state(Precision precision, const Floats& values, int64_t rows, int64_t channels) {
  const auto columns = static_cast<size_t>(channels);
  HostState s{Floats(columns), Floats(columns),    Floats(columns),   Floats(columns),
              Floats(columns), draws(channels, 6), draws(channels, 7)};
  const Floats gamma = draws(channels, 4), beta = draws(channels, 5);
  HostActivations x(precision, values);
  auto workspace = cpu::norm_workspace(channels);
  cpu::norm_statistics(x.view(), rows, channels, s.mean.data(), s.variance.data(), workspace);
  const float unbias = static_cast<float>(rows) / static_cast<float>(rows - 1);
  for (size_t c = 0; c < columns; ++c) {
    s.running_mean[c] += batch_norm_momentum * (s.mean[c] - s.running_mean[c]);
    if (rows > 1)
      s.running_var[c] += batch_norm_momentum * (s.variance[c] * unbias - s.running_var[c]);
    s.inverse[c] = 1 / std::sqrt(s.variance[c] + batch_norm_epsilon);
    s.scale[c] = gamma[c] * s.inverse[c];
    s.shift[c] = beta[c] - s.mean[c] * s.scale[c];
  }
  return s;
}

TEST_P(Norms, StatisticsEqualTheCpus) {
  for (const int64_t channels : widths) {
    for (const int64_t rows : lengths) {
      SCOPED_TRACE(fmt::format("{}×{}", rows, channels));
      const Floats values = inputs(rows, channels);
      const auto found = same_every_time([&] {
        const DeviceActivations x(precision(), values);
        const NormArrays arrays(rows, channels);
        norm_statistics(statistics_args(arrays, x.view(), rows, channels), nullptr);
        return std::vector<Floats>{arrays.mean.host(),         arrays.inverse.host(),
                                   arrays.scale.host(),        arrays.shift.host(),
                                   arrays.running_mean.host(), arrays.running_var.host()};
      });
      const HostState expected = host_state(precision(), values, rows, channels);
      expect_near(found[0], expected.mean, 1e-6);
      // The CPU adds 512 rows in float, of values some deviations from their origin; one row has no
      // variance but rounding's, under ε.
      const double room = rows == 1 ? 1e-4 : 2e-5;
      expect_near(found[1], expected.inverse, room);
      expect_near(found[2], expected.scale, room);
      expect_near(found[3], expected.shift, room, 20);
      expect_near(found[4], expected.running_mean, 1e-6);
      expect_near(found[5], expected.running_var, 1e-5);
    }
  }
}

// As many rows as a large batch has, far from zero: the variance must not drown in the mean.
TEST_P(Norms, StatisticsKeepTheirDigits) {
  const int64_t rows = 100'000, channels = is_bf16() ? 8 : 4;
  Floats values = draws(rows * channels, 12);
  for (float& v : values) v = 50 + v;
  values = rounded(precision(), values);
  const DeviceActivations x(precision(), values);
  const NormArrays arrays(rows, channels);
  norm_statistics(statistics_args(arrays, x.view(), rows, channels), nullptr);
  const Floats mean = arrays.mean.host(), inverse = arrays.inverse.host();
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    double m = 0, v = 0;
    const double count = static_cast<double>(rows);
    const auto step = static_cast<size_t>(channels);
    for (size_t i = c; i < values.size(); i += step) m += values[i] / count;
    for (size_t i = c; i < values.size(); i += step) v += std::pow(values[i] - m, 2) / count;
    EXPECT_NEAR(mean[c], m, 2e-7 * m);
    EXPECT_NEAR(inverse[c], 1 / std::sqrt(v + double{batch_norm_epsilon}), 1e-6);
  }
}

TEST_P(Norms, SumsThatAConvolutionLeftGiveTheSame) {
  const int64_t rows = 500, channels = 300;
  const Floats values = rounded(precision(), draws(rows * channels, 1));
  Floats sum(300), squares(300);
  for (size_t i = 0; i < values.size(); ++i) {
    sum[i % 300] += values[i];
    squares[i % 300] += values[i] * values[i];
  }
  const NormArrays arrays(rows, channels);
  const Device<float> on_device(sum), squares_on_device(squares);
  norm_statistics_from_sums(statistics_args(arrays, {}, rows, channels), on_device.data(),
                            squares_on_device.data(), nullptr);
  const HostState expected = host_state(precision(), values, rows, channels);
  expect_near(arrays.mean.host(), expected.mean, 1e-6);
  expect_near(arrays.inverse.host(), expected.inverse, 1e-5);
  expect_near(arrays.shift.host(), expected.shift, 1e-5);
  expect_near(arrays.running_var.host(), expected.running_var, 1e-5);
}

TEST_P(Norms, OfInferenceUseTheRunningStatistics) {
  for (const int64_t channels : {1, 300}) {
    NormArrays arrays(1, channels);
    Floats variance = draws(channels, 7);
    for (float& v : variance) v *= v;
    const Device<float> running_var(variance);
    norm_coefficients(arrays.gamma.data(), arrays.beta.data(), arrays.running_mean.data(),
                      running_var.data(), channels, arrays.scale.data(), arrays.shift.data(),
                      nullptr);
    const Floats gamma = arrays.gamma.host(), beta = arrays.beta.host();
    const Floats mean = arrays.running_mean.host();
    Floats scale(gamma.size()), shift(gamma.size());
    for (size_t c = 0; c < gamma.size(); ++c) {
      scale[c] = gamma[c] / std::sqrt(variance[c] + batch_norm_epsilon);
      shift[c] = beta[c] - mean[c] * scale[c];
    }
    expect_near(arrays.scale.host(), scale, 1e-6);
    expect_near(arrays.shift.host(), shift, 1e-6);
  }
}

/// Where y may lie, too.
enum class Place { apart, on_x, on_residual };

TEST_P(Norms, ApplyEqualsTheCpus) {
  for (const int64_t channels : widths) {
    for (const int64_t rows : lengths) {
      const Floats values = inputs(rows, channels), more = draws(rows * channels, 3);
      const HostState state = host_state(precision(), values, rows, channels);
      const auto mask_bytes = static_cast<size_t>(norm_mask_bytes(precision(), rows, channels));
      for (const bool relu : {false, true}) {
        for (const bool added : {false, true}) {
          for (const Place place : {Place::apart, Place::on_x, Place::on_residual}) {
            if (place == Place::on_residual && !added) continue;
            SCOPED_TRACE(fmt::format("{}×{} relu {} residual {} in place {}", rows, channels, relu,
                                     added, static_cast<int>(place)));
            const auto found = same_every_time([&] {
              const DeviceActivations x(precision(), values), residual(precision(), more);
              const DeviceActivations apart(precision(), values.size());
              const Device<float> scale(state.scale), shift(state.shift);
              const Device<uint8_t> mask(mask_bytes);
              NormApply args;
              args.x = x.view();
              if (added) args.residual = residual.view();
              args.y = place == Place::apart  ? apart.view()
                       : place == Place::on_x ? x.view()
                                              : residual.view();
              if (relu && mask_bytes > 0) args.mask = mask.data();
              args.scale = scale.data();
              args.shift = shift.data();
              args.relu = relu;
              args.rows = rows;
              args.channels = channels;
              norm_apply(args, nullptr);
              Floats bits;
              if (args.mask != nullptr) {
                for (const uint8_t byte : mask.host()) bits.push_back(byte);
              }
              const DeviceActivations& y = place == Place::apart  ? apart
                                           : place == Place::on_x ? x
                                                                  : residual;
              return std::vector<Floats>{y.host(), bits};
            });
            HostActivations x(precision(), values), residual(precision(), more);
            HostActivations y(precision(), Floats(values.size()));
            const cpu::Activations none{nullptr, precision()};
            cpu::norm_apply(x.view(), added ? residual.view() : none, state.scale.data(),
                            state.shift.data(), relu, rows, channels, y.view());
            const Floats expected = y.host();
            expect_near(found[0], expected, rounding());
            const size_t access = is_bf16() ? 8 : 4;
            for (size_t i = 0; i < found[1].size(); ++i) {
              unsigned bits = 0;
              for (size_t k = 0; k < access; ++k) {
                bits |= (found[0][i * access + k] > 0 ? 1U : 0U) << k;
              }
              ASSERT_EQ(found[1][i], static_cast<float>(bits)) << i;
            }
          }
        }
      }
    }
  }
}

/// Where the ReLU's mask comes from.
enum class Mask { none, from_x, from_y, bits };

TEST_P(Norms, BackwardEqualsTheCpus) {
  for (const int64_t channels : {3, 64, 264}) {
    for (const int64_t rows : {5, 700}) {
      const Floats values = inputs(rows, channels), slopes = draws(rows * channels, 2);
      const Floats slopes2 = draws(rows * channels, 8), more = draws(rows * channels, 3);
      const HostState state = host_state(precision(), values, rows, channels);
      const Floats gamma = draws(channels, 4);
      const auto columns = static_cast<size_t>(channels);
      const auto mask_bytes = static_cast<size_t>(norm_mask_bytes(precision(), rows, channels));
      for (const Mask kind : {Mask::none, Mask::from_x, Mask::from_y, Mask::bits}) {
        if (kind == Mask::bits && mask_bytes == 0) continue;
        const bool added = kind == Mask::from_y || kind == Mask::bits;
        // The forward output, from the CPU; its signs as bits.
        HostActivations x(precision(), values), residual(precision(), more);
        HostActivations y(precision(), Floats(values.size()));
        cpu::norm_apply(x.view(), added ? residual.view() : cpu::Activations{nullptr, precision()},
                        state.scale.data(), state.shift.data(), kind != Mask::none, rows, channels,
                        y.view());
        const Floats outputs = y.host();
        std::vector<uint8_t> bits(mask_bytes);
        const size_t access = is_bf16() ? 8 : 4;
        for (size_t i = 0; i < bits.size() * access; ++i) {
          const unsigned bit = outputs[i] > 0 ? 1U : 0U;
          bits[i / access] = static_cast<uint8_t>(bits[i / access] | bit << i % access);
        }
        for (const bool two : {false, true}) {
          for (const bool keep : {false, true}) {
            if (two && !keep) continue;
            SCOPED_TRACE(fmt::format("{}×{} mask {} two {} keep {}", rows, channels,
                                     static_cast<int>(kind), two, keep));
            const auto found = same_every_time([&] {
              const DeviceActivations in(precision(), values), out(precision(), outputs);
              const DeviceActivations dy(precision(), slopes), dy2(precision(), slopes2);
              const DeviceActivations dx(precision(), values.size());
              const NormArrays arrays(rows, channels);
              const Device<float> mean(state.mean), inverse(state.inverse), scale(state.scale);
              const Device<float> shift(state.shift), d_gamma(columns), d_beta(columns);
              const Device<uint8_t> mask(bits);
              NormBackward args;
              args.x = in.view();
              if (kind == Mask::from_y) args.y = out.view();
              if (kind == Mask::bits) args.mask = mask.data();
              args.dy = dy.view();
              if (two) args.dy2 = dy2.view();
              args.dx = keep ? dx.view() : dy.view();
              args.gamma = arrays.gamma.data();
              args.state = {mean.data(), inverse.data(), scale.data(), shift.data()};
              args.d_gamma = d_gamma.data();
              args.d_beta = d_beta.data();
              args.relu = kind != Mask::none;
              args.keep_g = keep;
              args.rows = rows;
              args.channels = channels;
              args.workspace = arrays.workspace.data();
              norm_backward(args, nullptr);
              return std::vector<Floats>{d_gamma.host(), d_beta.host(),
                                         keep ? dx.host() : dy.host(), keep ? dy.host() : Floats{}};
            });
            HostActivations dy(precision(), slopes), dy2(precision(), slopes2);
            HostActivations dx(precision(), Floats(values.size()));
            Floats d_gamma(columns), d_beta(columns);
            auto workspace = cpu::norm_workspace(channels);
            cpu::NormBackward args{};
            args.x = x.view();
            if (added) args.y = y.view();
            args.dy = dy.view();
            if (two) args.dy2 = dy2.view();
            args.dx = dx.view();
            args.gamma = gamma.data();
            args.mean = state.mean.data();
            args.inverse_deviation = state.inverse.data();
            args.scale = state.scale.data();
            args.shift = state.shift.data();
            args.d_gamma = d_gamma.data();
            args.d_beta = d_beta.data();
            args.relu = kind != Mask::none;
            args.keep_g = true;
            args.rows = rows;
            args.channels = channels;
            cpu::norm_backward(args, workspace);
            const double root = std::sqrt(static_cast<double>(rows));
            expect_near(found[0], d_gamma, 2e-6, root);
            expect_near(found[1], d_beta, 2e-6, root);
            // Unkept, dx is worked out from g unrounded, the CPU's from g rounded to bf16. Both add
            // up in x, not in x̂: what is lost grows with mean/deviation, and so with few rows.
            expect_near(found[2], dx.host(), is_bf16() ? 0x1p-6 : rows < 10 ? 1e-4 : 1e-5, 2);
            if (keep) expect_near(found[3], dy.host(), is_bf16() ? 0x1p-7 : 1e-7, 0);
          }
        }
      }
    }
  }
}

// A diverged activation must stay visible: hidden by the ReLU, the loss would look healthy.
TEST_P(Norms, KeepWhatIsUndefined) {
  for (const int64_t channels : {3, 16, 40}) {
    Floats values = draws(2 * channels, 10);
    values[1] = std::numeric_limits<float>::quiet_NaN();
    const auto columns = static_cast<size_t>(channels);
    const Device<float> scale(Floats(columns, 1)), shift(Floats(columns, 0));
    for (const bool relu : {false, true}) {
      const DeviceActivations x(precision(), values), y(precision(), values.size());
      NormApply args;
      args.x = x.view();
      args.y = y.view();
      args.scale = scale.data();
      args.shift = shift.data();
      args.relu = relu;
      args.rows = 2;
      args.channels = channels;
      norm_apply(args, nullptr);
      EXPECT_TRUE(std::isnan(y.host()[1])) << channels << " channels";
    }
    const DeviceActivations x(precision(), values);
    const NormArrays arrays(2, channels);
    norm_statistics(statistics_args(arrays, x.view(), 2, channels), nullptr);
    EXPECT_TRUE(std::isnan(arrays.mean.host()[1]));
    EXPECT_TRUE(std::isnan(arrays.shift.host()[1]));
  }
}

HARDMOE_BOTH_PRECISIONS(Norms);

}  // namespace
}  // namespace hardmoe::cuda
