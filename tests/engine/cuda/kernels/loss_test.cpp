// The loss over tags on the device against the CPU engine's: vocabularies around a block's size,
// rows without tags, with many, with one twice; padded rows; both precisions of the gradient.
#include <fmt/format.h>

#include <limits>

#include "device_array.h"

namespace hardmoe::cuda {
namespace {

using Losses = CudaKernels;

struct Tags {
  std::vector<int32_t> ptr{0}, ids;
  void add(const std::vector<int32_t>& row) {
    ids.insert(ids.end(), row.begin(), row.end());
    ptr.push_back(static_cast<int32_t>(ids.size()));
  }
};

/// n rows: none, one, all tags, one twice, and again.
Tags tags_for(int64_t n, int64_t vocabulary) {
  Tags tags;
  const auto last = static_cast<int32_t>(vocabulary - 1);
  std::vector<int32_t> all(static_cast<size_t>(vocabulary));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
  for (int64_t i = 0; i < n; ++i) {
    if (i % 4 == 0) tags.add({last / 2});
    if (i % 4 == 1) tags.add({});
    if (i % 4 == 2) tags.add(all);
    if (i % 4 == 3) tags.add({0, last, last});
  }
  return tags;
}

struct Found {
  double sum;
  std::vector<double> rows;
  Floats gradient;
};

Found run(Precision precision, LossKind kind, float smoothing, const Floats& logits,
          const Tags& tags, int64_t n, int64_t vocabulary, int64_t stride,
          const Floats& weights = {}) {
  const auto width = static_cast<size_t>(stride), columns = static_cast<size_t>(vocabulary);
  Floats padded(static_cast<size_t>(n) * width, 1e9F);  // padding must not count
  for (size_t i = 0; i < logits.size(); ++i) {
    padded[i / columns * width + i % columns] = logits[i];
  }
  const auto results = same_every_time([&] {
    const Device<float> z(padded);
    const Device<int32_t> ptr(tags.ptr), ids(tags.ids);
    const Device<double> rows(static_cast<size_t>(n)), sum(std::vector<double>{3});
    const Device<float> factors(weights.empty() ? Floats{1} : weights);
    const DeviceActivations gradient(precision, padded.size());
    TagLossArgs args;
    if (!weights.empty()) args.row_weights = factors.data();
    args.kind = kind;
    args.smoothing = smoothing;
    args.logits = z.data();
    args.tag_ptr = ptr.data();
    args.tag_ids = ids.data();
    args.n = n;
    args.tags = vocabulary;
    args.stride = stride;
    args.row_loss = rows.data();
    args.loss_sum = sum.data();
    args.gradient = gradient.view();
    tag_loss(args, nullptr);
    // Doubles as pairs of floats, to be compared bit by bit.
    std::vector<Floats> bits{gradient.host(), Floats(2 * static_cast<size_t>(n)), Floats(2)};
    const auto losses = rows.host(), total = sum.host();
    std::memcpy(bits[1].data(), losses.data(), losses.size() * sizeof(double));
    std::memcpy(bits[2].data(), total.data(), sizeof(double));
    return bits;
  });
  Found found{0, std::vector<double>(static_cast<size_t>(n)), Floats(logits.size())};
  std::memcpy(found.rows.data(), results[1].data(), found.rows.size() * sizeof(double));
  std::memcpy(&found.sum, results[2].data(), sizeof(double));
  for (size_t i = 0; i < padded.size(); ++i) {
    if (i % width < columns) {
      found.gradient[i / width * columns + i % width] = results[0][i];
    } else {
      EXPECT_EQ(results[0][i], 0.0F) << "padding " << i;
    }
  }
  return found;
}

void compare(Precision precision, LossKind kind, float smoothing, const Floats& logits,
             const Tags& tags, int64_t n, int64_t vocabulary, int64_t stride,
             const Floats& weights = {}) {
  const Found found = run(precision, kind, smoothing, logits, tags, n, vocabulary, stride, weights);
  std::vector<double> rows(static_cast<size_t>(n));
  Floats gradient(logits.size());
  const double mean =
      cpu::tag_loss({kind, smoothing}, logits.data(),
                    {tags.ptr.data(), tags.ids.data(), weights.empty() ? nullptr : weights.data()},
                    n, vocabulary, rows.data(), gradient.data());
  for (size_t i = 0; i < rows.size(); ++i) {
    if (std::isnan(rows[i])) {
      EXPECT_TRUE(std::isnan(found.rows[i])) << "row " << i;
    } else {
      EXPECT_NEAR(found.rows[i], rows[i], 1e-6 * (std::abs(rows[i]) + 1)) << "row " << i;
    }
  }
  if (std::isnan(mean)) {
    EXPECT_TRUE(std::isnan(found.sum));
  } else {
    EXPECT_NEAR(found.sum, 3 + mean, 1e-6 * (std::abs(mean) + 1));
  }
  // Relative to the largest slope a row can have.
  const double room = precision == Precision::bf16 ? 0x1p-8 : 2e-6;
  for (float& v : gradient) v *= static_cast<float>(n);
  Floats scaled = found.gradient;
  for (float& v : scaled) v *= static_cast<float>(n);
  expect_near(scaled, gradient, room, precision == Precision::bf16 ? 1e-3 : 1);
}

TEST_P(Losses, EqualTheCpus) {
  for (const LossKind kind : {LossKind::softmax, LossKind::sigmoid}) {
    for (const float smoothing : {0.0F, 0.1F}) {
      for (const auto& [vocabulary, stride] : {std::pair{int64_t{1}, int64_t{1}},
                                               {1, 4},
                                               {3, 8},
                                               {8, 8},
                                               {511, 511},
                                               {1000, 1000},
                                               {2051, 2056},
                                               {5003, 5003}}) {
        for (const int64_t n : {1, 6}) {
          SCOPED_TRACE(fmt::format("kind {} smoothing {} {}×{} of {}", static_cast<int>(kind),
                                   smoothing, n, vocabulary, stride));
          Floats logits = draws(n * vocabulary, 3);
          for (float& z : logits) z *= 4;
          compare(precision(), kind, smoothing, logits, tags_for(n, vocabulary), n, vocabulary,
                  stride);
        }
      }
    }
  }
}

TEST_P(Losses, WeighRowsAsTheCpusDo) {
  for (const LossKind kind : {LossKind::softmax, LossKind::sigmoid}) {
    for (const int64_t vocabulary : {8, 511}) {
      compare(precision(), kind, 0.1F, draws(6 * vocabulary, 3), tags_for(6, vocabulary), 6,
              vocabulary, vocabulary, {0.5F, 1, 0, 2, 0.25F, 1});
    }
  }
}

TEST_P(Losses, BearExtremeLogitsAndShowUndefinedOnes) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const LossKind kind : {LossKind::softmax, LossKind::sigmoid}) {
    for (const int64_t vocabulary : {12, 13}) {
      SCOPED_TRACE(fmt::format("kind {} of {}", static_cast<int>(kind), vocabulary));
      Tags tags;
      for (int i = 0; i < 4; ++i) tags.add({1, 2});
      Floats logits = draws(4 * vocabulary, 5);
      const auto width = static_cast<size_t>(vocabulary);
      logits[5] = 1e4F;                                              // e^z would overflow
      for (size_t j = 0; j < width; ++j) logits[width + j] -= 1e4F;  // e^z would vanish
      logits[2 * width] = std::numeric_limits<float>::quiet_NaN();
      compare(precision(), kind, 0, logits, tags, 4, vocabulary, vocabulary);
      logits[2 * width] = 0;
      logits[3 * width + 5] = -infinity;  // a tag ruled out
      if (kind == LossKind::softmax) {
        compare(precision(), kind, 0, logits, tags, 4, vocabulary, vocabulary);
      }
      logits[3 * width + 5] = infinity;
      compare(precision(), kind, 0, logits, tags, 4, vocabulary, vocabulary);
    }
  }
}

TEST_P(Losses, AgainstATeacherEqualTheCpus) {
  for (const LossKind kind : {LossKind::softmax, LossKind::sigmoid}) {
    for (const auto& [vocabulary, stride] :
         {std::pair{int64_t{1}, int64_t{4}}, {3, 8}, {511, 511}, {2051, 2056}}) {
      for (const float temperature : {1.0F, 2.5F}) {
        SCOPED_TRACE(
            fmt::format("kind {} τ {} of {}", static_cast<int>(kind), temperature, vocabulary));
        constexpr int64_t n = 3;
        const auto width = static_cast<size_t>(stride), columns = static_cast<size_t>(vocabulary);
        Floats scores[2], padded[2];  // the student's, the teacher's
        for (size_t k = 0; k < 2; ++k) {
          scores[k] = draws(n * vocabulary, 3 + k);
          for (float& z : scores[k]) z *= 4;
          padded[k].assign(n * width, 1e9F);  // padding must not count
          for (size_t i = 0; i < scores[k].size(); ++i) {
            padded[k][i / columns * width + i % columns] = scores[k][i];
          }
        }
        const auto found = same_every_time([&] {
          const Device<float> logits(padded[0]), teacher(padded[1]);
          const Device<double> rows(size_t{n}), sum(std::vector<double>{3});
          const DeviceActivations gradient(precision(), padded[0].size());
          TeacherLossArgs args;
          args.kind = kind;
          args.temperature = temperature;
          args.weight = 0.5F;
          args.logits = logits.data();
          args.teacher = teacher.data();
          args.n = n;
          args.tags = vocabulary;
          args.stride = stride;
          args.row_loss = rows.data();
          args.loss_sum = sum.data();
          args.gradient = gradient.view();
          teacher_loss(args, nullptr);
          return std::vector<Floats>{gradient.host(), {static_cast<float>(sum.host()[0])}};
        });
        LossSpec spec{.kind = kind, .weight = 0.5F};
        spec.temperature = temperature;
        std::vector<double> rows(n);
        Floats gradient(scores[0].size());
        const double mean = cpu::teacher_loss(spec, scores[0].data(), scores[1].data(), n,
                                              vocabulary, rows.data(), gradient.data());
        EXPECT_NEAR(double{found[1][0]}, 3 + mean, 2e-6 * (mean + 4));
        for (size_t i = 0; i < padded[0].size(); ++i) {
          const bool padding = i % width >= columns;
          const float expected = padding ? 0.0F : gradient[i / width * columns + i % width];
          const double room = precision() == Precision::bf16 ? 0x1p-8 : 4e-6;
          ASSERT_NEAR(found[0][i], expected, padding ? 0 : room * (std::abs(expected) + 0.1)) << i;
        }
      }
    }
  }
}

// By hand: two equal logits, one tag: loss ln 2, slopes ½ − 1 and ½, each over n = 2.
TEST_P(Losses, MatchWhatIsWorkedOutByHand) {
  Tags tags;
  tags.add({0});
  tags.add({});
  const Found found = run(precision(), LossKind::softmax, 0, {1, 1, 5, 6}, tags, 2, 2, 2);
  EXPECT_NEAR(found.rows[0], std::log(2.0), 1e-7);
  EXPECT_EQ(found.rows[1], 0.0);
  EXPECT_NEAR(found.sum, 3 + std::log(2.0) / 2, 1e-7);
  expect_near(found.gradient, {-0.25F, 0.25F, 0, 0}, 1e-7);
}

HARDMOE_BOTH_PRECISIONS(Losses);

}  // namespace
}  // namespace hardmoe::cuda
