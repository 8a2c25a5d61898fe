// Images in, conversions, sums, a bias' gradient, and the update of all parameters, on the device.
#include <fmt/format.h>

#include <limits>

#include "device_array.h"

namespace hardmoe::cuda {
namespace {

using Elementwise = CudaKernels;

/// Counts around an access of 8, a batch of accesses, and every block's first turn.
constexpr int64_t counts[] = {1, 7, 8, 9, 1000, 40'003};
/// More than the blocks of any grid take in one turn in the emulation.
constexpr int64_t many = 400'003;

TEST_P(Elementwise, ImagesAreNormalisedAndTheirChannelsPadded) {
  const float mean[3] = {123.675F, 116.28F, 103.53F}, deviation[3] = {58.395F, 57.12F, 57.375F};
  for (const int64_t channels : {3, 4, 5, 8}) {
    for (const int64_t pixels : {int64_t{1}, int64_t{255}, int64_t{20'001}, many / 3}) {
      SCOPED_TRACE(fmt::format("{} pixels, {} channels", pixels, channels));
      std::vector<uint8_t> image(static_cast<size_t>(3 * pixels));
      for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<uint8_t>(i * 37 % 256);
      const Device<uint8_t> on_device(image);
      const DeviceActivations out(precision(), static_cast<size_t>(pixels * channels));
      ImageInput args;
      args.pixels = on_device.data();
      args.n = pixels;
      std::copy_n(mean, 3, args.mean);
      std::copy_n(deviation, 3, args.deviation);
      args.channels = channels;
      args.out = out.view();
      normalize_images(args, nullptr);
      HostActivations reference(precision(), Floats(image.size()));
      cpu::normalize_images(image.data(), pixels, mean, deviation, reference.view());
      const Floats three = reference.host();
      const auto columns = static_cast<size_t>(channels);
      Floats expected(columns * static_cast<size_t>(pixels));
      for (size_t i = 0; i < three.size(); ++i) expected[i / 3 * columns + i % 3] = three[i];
      expect_near(out.host(), expected, is_bf16() ? 0x1p-7 : 4e-7);
    }
  }
}

TEST_P(Elementwise, ConversionsRoundToNearest) {
  for (const int64_t n : {counts[0], counts[1], counts[2], counts[4], counts[5], many}) {
    SCOPED_TRACE(n);
    Floats values = draws(n, 1);
    values[0] = std::numeric_limits<float>::quiet_NaN();
    if (n > 2) {
      values[1] = std::numeric_limits<float>::infinity();
      values[2] = 1 + 0x1p-8F;  // halfway: to even
    }
    const Device<float> in(values), back(values.size());
    const DeviceActivations out(precision(), values.size());
    convert(in.data(), n, out.view(), nullptr);
    const Floats expected = rounded(precision(), values);
    expect_near(out.host(), expected, 0);
    to_float(out.view(), n, back.data(), nullptr);
    expect_near(back.host(), expected, 0);
  }
}

TEST_P(Elementwise, AddEqualsTheCpus) {
  for (const int64_t n : {counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], many}) {
    const Floats left = draws(n, 2), right = draws(n, 3);
    HostActivations a(precision(), left), b(precision(), right);
    cpu::add_in_place(a.view(), b.view(), n);
    const Floats expected = a.host();
    for (const int place : {0, 1, 2}) {  // apart, on a, on b
      SCOPED_TRACE(fmt::format("{} at {}", n, place));
      const DeviceActivations x(precision(), left), y(precision(), right);
      const DeviceActivations apart(precision(), left.size());
      const DeviceActivations& out = place == 0 ? apart : place == 1 ? x : y;
      add(x.view(), y.view(), n, out.view(), nullptr);
      expect_near(out.host(), expected, 0);
    }
  }
}

TEST_P(Elementwise, BiasGradientIsTheSumOverRows) {
  for (const int64_t columns : {1, 8, 10, 67, 1000}) {
    for (const int64_t rows : {1, 5, 130}) {
      SCOPED_TRACE(fmt::format("{}×{}", rows, columns));
      const Floats values = rounded(precision(), draws(rows * columns, 4));
      const auto found = same_every_time([&] {
        const DeviceActivations dy(precision(), values);
        const Device<float> out(static_cast<size_t>(columns));
        bias_gradient(dy.view(), rows, columns, out.data(), nullptr);
        return std::vector<Floats>{out.host()};
      });
      const auto width = static_cast<size_t>(columns);
      Floats expected(width);
      for (size_t c = 0; c < width; ++c) {
        double sum = 0;
        for (size_t i = c; i < values.size(); i += width) sum += double{values[i]};
        expected[c] = static_cast<float>(sum);
      }
      expect_near(found[0], expected, 1e-6, 10);
    }
  }
}

HARDMOE_BOTH_PRECISIONS(Elementwise);

// ---- updates ----

/// Also what a test of the update needs twice: the arrays before it.
struct Parameters {
  Floats weights, gradients, first, second, average;
  Parameters(int64_t learned, int64_t length)
      : weights(draws(length, 5)),
        gradients(draws(learned, 6)),
        first(draws(learned, 7)),
        second(draws(learned, 8)),
        average(draws(length, 9)) {
    for (float& v : second) v *= v;
  }
};

using Updates = CudaKernels;

TEST_P(Updates, EqualTheCpus) {
  for (const auto& [learned, length] : {std::pair{int64_t{4}, int64_t{4}},
                                        {int64_t{64}, int64_t{96}},
                                        {int64_t{110'000}, int64_t{110'032}}}) {
    for (const int kind : {0, 1, 2}) {  // SGD, SGD with Nesterov's momentum, AdamW
      for (const bool averaged : {false, true}) {
        SCOPED_TRACE(fmt::format("{} of {}, kind {}, average {}", learned, length, kind, averaged));
        OptimizerSpec spec;
        spec.kind = kind == 2 ? OptimizerKind::adamw : OptimizerKind::sgd;
        spec.nesterov = kind == 1;
        spec.weight_decay = 0.01F;
        spec.ema_decay = 0.9F;
        const int64_t step = 3;
        Parameters p(learned, length);
        const Device<float> weights(p.weights), gradients(p.gradients), first(p.first);
        const Device<float> second(p.second), average(p.average);
        const Device<BFloat16> copies(static_cast<size_t>(length));
        const Device<StepFactors> factors(
            std::vector<StepFactors>{step_factors(spec, 0.05F, step)});
        Update args;
        args.spec = spec;
        args.factors = factors.data();
        args.weights = weights.data();
        args.gradients = gradients.data();
        args.first = first.data();
        if (kind == 2) args.second = second.data();
        if (averaged) args.average = average.data();
        if (is_bf16()) args.copies = copies.data();
        args.learned = learned;
        args.length = length;
        update_weights(args, nullptr);

        cpu::update_weights({spec, 0.05F, step, p.weights.data(), p.gradients.data(),
                             p.first.data(), p.second.data(), learned});
        const Floats found = weights.host();
        expect_near(found, p.weights, 4e-7);
        expect_near(first.host(), p.first, 4e-7);
        expect_near(second.host(), p.second, 4e-7);
        if (averaged) {
          cpu::average_weights(spec.ema_decay, p.weights.data(), p.average.data(), length);
        }
        expect_near(average.host(), p.average, 4e-7);
        const auto narrowed = copies.host();
        for (size_t i = 0; i < narrowed.size(); ++i) {
          const bool written = is_bf16() && i < static_cast<size_t>(learned);
          ASSERT_EQ(narrowed[i].bits, written ? to_bfloat16(found[i]).bits : 0xFFFF) << i;
        }
      }
    }
  }
}

TEST_P(Updates, PullAndSlowDownAsTheCpus) {
  constexpr int64_t learned = 4096, slow = 1024, full = learned - slow;
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adamw}) {
    for (const float pull : {0.0F, 0.3F}) {
      SCOPED_TRACE(fmt::format("kind {} pull {}", static_cast<int>(kind), pull));
      OptimizerSpec spec;
      spec.kind = kind;
      spec.weight_decay = 0.01F;
      spec.pull = pull;
      Parameters p(learned, learned);
      const Floats origins = draws(learned, 10);
      const Device<float> weights(p.weights), gradients(p.gradients), first(p.first);
      const Device<float> second(p.second), origin(origins);
      const Device<StepFactors> factors(std::vector<StepFactors>{step_factors(spec, 0.05F, 3)});
      Update args;
      args.spec = spec;
      args.factors = factors.data();
      args.weights = weights.data();
      args.gradients = gradients.data();
      args.first = first.data();
      args.second = second.data();
      args.origin = origin.data();
      args.learned = args.length = learned;
      args.slow = slow;
      args.slow_factor = 0.125F;
      update_weights(args, nullptr);
      for (const auto& [begin, count, lr] :
           {std::tuple{int64_t{0}, full, 0.05F}, std::tuple{full, slow, 0.05F * 0.125F}}) {
        cpu::update_weights({spec, lr, 3, p.weights.data() + begin, p.gradients.data() + begin,
                             p.first.data() + begin, p.second.data() + begin, count,
                             origins.data() + begin});
      }
      expect_near(weights.host(), p.weights, 4e-7);
      expect_near(first.host(), p.first, 4e-7);
      expect_near(second.host(), p.second, 4e-7);
    }
  }
}

// What is padding stays zero, and a NaN gradient shows.
TEST_P(Updates, KeepZerosAndWhatIsUndefined) {
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adamw}) {
    OptimizerSpec spec;
    spec.kind = kind;
    spec.weight_decay = 0.1F;
    const Floats zeros(8);
    Floats slopes(8);
    slopes[5] = std::numeric_limits<float>::quiet_NaN();
    const Device<float> weights(zeros), gradients(slopes), first(zeros), second(zeros);
    const Device<StepFactors> factors(std::vector<StepFactors>{step_factors(spec, 0.1F, 1)});
    Update args;
    args.spec = spec;
    args.factors = factors.data();
    args.weights = weights.data();
    args.gradients = gradients.data();
    args.first = first.data();
    args.second = second.data();
    args.learned = args.length = 8;
    update_weights(args, nullptr);
    const Floats found = weights.host();
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_TRUE(i == 5 ? std::isnan(found[i]) : found[i] == 0.0F) << i;
    }
  }
}

TEST_P(Updates, RefuseBrokenAccesses) {
  Update args;
  args.learned = args.length = 6;
  EXPECT_THROW(update_weights(args, nullptr), Error);
}

HARDMOE_BOTH_PRECISIONS(Updates);

// Worked by hand: t = 1 and 2 with beta1 0.9, beta2 0.999.
TEST(StepFactors, AreAdamWsCorrections) {
  OptimizerSpec spec;
  EXPECT_EQ(step_factors(spec, 0.25F, 7).lr, 0.25F);
  spec.kind = OptimizerKind::adamw;
  const StepFactors first = step_factors(spec, 0.25F, 1), second = step_factors(spec, 0.25F, 2);
  EXPECT_NEAR(first.step_size, 2.5, 1e-6);
  EXPECT_NEAR(first.root_correction, 31.6227766, 1e-3);  // 1/√0.001
  EXPECT_NEAR(second.step_size, 0.25 / 0.19, 1e-6);
  EXPECT_NEAR(second.root_correction, 22.3662737, 1e-3);  // 1/√0.001999
}

}  // namespace
}  // namespace hardmoe::cuda
