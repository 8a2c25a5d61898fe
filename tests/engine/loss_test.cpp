// The CPU engine's losses against PyTorch, the definition in double precision, and the corners:
// no tags, extreme logits, undefined ones.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/random.h"
#include "engine/cpu/kernels.h"
#include "engine/reference_network.h"
#include "nn/batch.h"
#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe::cpu {
namespace {

using Floats = std::vector<float>;

Floats draws(int64_t count) {
  Random random(29, RandomUse::test);
  Floats values(static_cast<size_t>(count));
  for (float& value : values) value = 3 * random.normal();
  return values;
}

struct LossCase {
  const char* name;
  LossKind kind;
  float smoothing;
};

TEST(TagLoss, EqualsPyTorch) {
  const StateDict reference = load_safetensors(test_file("losses.safetensors"));
  const Targets targets{reference.at("tag_ptr").as<int32_t>().data(),
                        reference.at("tag_ids").as<int32_t>().data()};
  for (const std::string prefix : {"", "large_"}) {
    const Tensor& logits = reference.at(prefix + "logits");
    const int64_t rows = logits.size(0), tags = logits.size(1);
    for (const auto& [name, kind, smoothing] :
         {LossCase{"softmax", LossKind::softmax, 0},
          LossCase{"softmax_smoothing_0.1", LossKind::softmax, 0.1F},
          LossCase{"sigmoid", LossKind::sigmoid, 0}}) {
      SCOPED_TRACE(prefix + name);
      std::vector<double> row_loss(static_cast<size_t>(rows));
      Floats gradient(static_cast<size_t>(rows * tags));
      const double loss = tag_loss({kind, smoothing}, logits.as<float>().data(), targets, rows,
                                   tags, row_loss.data(), gradient.data());
      const double expected = reference.at(prefix + name + ".loss").as<float>()[0];
      EXPECT_NEAR(loss / expected, 1, 1e-6);
      const auto slopes = reference.at(prefix + name + ".grad").as<float>();
      for (size_t i = 0; i < gradient.size(); ++i) EXPECT_NEAR(gradient[i], slopes[i], 1e-7) << i;
    }
  }
}

struct Loss {
  double mean;
  std::vector<double> rows;
  Floats gradient;
};

Loss loss_of(LossKind kind, float smoothing, const Floats& logits, const Batch& batch) {
  const auto rows = static_cast<size_t>(batch.size);
  Loss loss{0, std::vector<double>(rows), Floats(logits.size(), -1)};
  loss.mean = tag_loss({kind, smoothing}, logits.data(),
                       {batch.tag_ptr.data(), batch.tag_ids.data(),
                        batch.weights.empty() ? nullptr : batch.weights.data()},
                       batch.size, static_cast<int64_t>(logits.size() / rows), loss.rows.data(),
                       loss.gradient.data());
  return loss;
}

void expect_definition(const Batch& batch) {
  for (const int64_t tags : {2, 15, 16, 17, 100, 1000}) {
    const Floats logits = draws(batch.size * tags);
    const Doubles wide(logits.begin(), logits.end());
    for (const LossKind kind : {LossKind::softmax, LossKind::sigmoid}) {
      for (const float smoothing : {0.0F, 0.25F}) {
        const Loss loss = loss_of(kind, smoothing, logits, batch);
        const double expected = reference_loss(kind, double{smoothing}, wide, batch);
        EXPECT_NEAR(loss.mean / expected, 1, 1e-6) << tags;
        for (size_t i = 0; i < wide.size(); ++i) {
          if (tags == 1000 && i % 7 != 0) continue;
          Doubles ahead = wide, behind = wide;
          ahead[i] += 1e-5;
          behind[i] -= 1e-5;
          const double slope = (reference_loss(kind, double{smoothing}, ahead, batch) -
                                reference_loss(kind, double{smoothing}, behind, batch)) /
                               2e-5;
          ASSERT_NEAR(loss.gradient[i], slope, 1e-6) << tags << " tags, logit " << i;
        }
      }
    }
  }
}

// Vocabularies with and without a remainder of 16; rows with 0, 1 and 2 tags.
TEST(TagLoss, EqualsTheDefinition) { expect_definition({3, {}, {0, 0, 1, 3}, {1, 0, 1}}); }

TEST(TagLoss, OfWeightedRowsEqualsTheDefinition) {
  expect_definition({4, {}, {0, 1, 2, 4, 5}, {1, 0, 0, 1, 1}, {0.5F, 1, 2.25F, 0}});
}

TEST(TagLoss, OfARowWithoutTagsCountsBySigmoidOnly) {
  const Floats logits = {2, -1, 0.5F};
  const Batch batch{1, {}, {0, 0}, {}};
  const Loss softmax = loss_of(LossKind::softmax, 0, logits, batch);
  EXPECT_EQ(softmax.mean, 0);
  EXPECT_EQ(softmax.gradient, (Floats{0, 0, 0}));
  const Loss sigmoid = loss_of(LossKind::sigmoid, 0, logits, batch);
  // ln(1+e²) + ln(1+e⁻¹) + ln(1+e^½)
  EXPECT_NEAR(sigmoid.mean, 2.1269280110 + 0.3132616875 + 0.9740769842, 1e-6);
  EXPECT_NEAR(sigmoid.gradient[0], 0.8807970780, 1e-6);
}

// Far beyond what exp() holds the loss is a difference of logits, and slopes are 0 or 1.
TEST(TagLoss, IsFiniteForExtremeLogits) {
  for (const size_t tags : {3U, 16U, 35U}) {
    Floats logits(2 * tags, 0);
    logits[0] = 1e4F;
    logits[1] = -1e4F;
    logits[tags] = -1e4F;
    logits[tags + 1] = 1e4F;
    const Batch batch{2, {}, {0, 1, 2}, {1, 1}};
    const Loss softmax = loss_of(LossKind::softmax, 0, logits, batch);
    EXPECT_NEAR(softmax.rows[0], 2e4, 1e-3);
    EXPECT_NEAR(softmax.rows[1], 0, 1e-6);
    EXPECT_NEAR(softmax.mean, 1e4, 1e-3);
    EXPECT_FLOAT_EQ(softmax.gradient[0], 0.5F);
    EXPECT_FLOAT_EQ(softmax.gradient[1], -0.5F);
    EXPECT_NEAR(softmax.gradient[tags + 1], 0, 1e-7);
    const Loss sigmoid = loss_of(LossKind::sigmoid, 0, logits, batch);
    const double others = static_cast<double>(tags - 2) * std::log(2.0);
    EXPECT_NEAR(sigmoid.rows[0], 2e4 + others, 1e-2);
    EXPECT_NEAR(sigmoid.rows[1], others, 1e-5);
    for (const Loss& loss : {softmax, sigmoid}) {
      for (const float slope : loss.gradient) EXPECT_TRUE(std::isfinite(slope));
    }
    const Loss level = loss_of(LossKind::softmax, 0, Floats(2 * tags, 1e4F), batch);
    EXPECT_NEAR(level.mean, std::log(static_cast<double>(tags)), 1e-5);
  }
}

TEST(TagLoss, AnUndefinedLogitGivesAnUndefinedLoss) {
  for (const size_t place : {0U, 5U, 18U}) {
    Floats logits(20, 1);
    logits[place] = std::numeric_limits<float>::quiet_NaN();
    const Batch batch{1, {}, {0, 1}, {3}};
    EXPECT_TRUE(std::isnan(loss_of(LossKind::softmax, 0, logits, batch).mean));
    EXPECT_TRUE(std::isnan(loss_of(LossKind::sigmoid, 0, logits, batch).mean));
  }
}

// The vectorised e^x, seen through the softmax of one pair of logits: p = e^−d / (1 + e^−d).
TEST(TagLoss, ExponentialIsAccurate) {
  for (float distance = 0; distance < 80; distance += 0.37F) {
    Floats logits(16, -1e4F);
    logits[0] = 0;
    logits[1] = -distance;
    const Batch batch{1, {}, {0, 1}, {0}};
    const double found = double{loss_of(LossKind::softmax, 0, logits, batch).gradient[1]};
    const double expected = 1 / (1 + std::exp(double{distance}));
    EXPECT_NEAR(found / expected, 1, 5e-7) << distance;
  }
}

// ---- against a teacher's scores

Loss teacher_loss_of(LossKind kind, float temperature, float weight, const Floats& logits,
                     const Floats& teacher, int64_t rows) {
  LossSpec spec{.kind = kind, .weight = weight};
  spec.temperature = temperature;
  Loss loss{0, std::vector<double>(static_cast<size_t>(rows)), Floats(logits.size(), -1)};
  loss.mean = teacher_loss(spec, logits.data(), teacher.data(), rows,
                           static_cast<int64_t>(logits.size()) / rows, loss.rows.data(),
                           loss.gradient.data());
  return loss;
}

TEST(TeacherLoss, EqualsPyTorch) {
  const StateDict reference = load_safetensors(test_file("losses.safetensors"));
  const auto floats = [&](const std::string& name) {
    const auto values = reference.at(name).as<float>();
    return Floats(values.begin(), values.end());
  };
  for (const std::string prefix : {"", "large_"}) {
    const Floats logits = floats(prefix + "logits"), teacher = floats(prefix + "teacher");
    const int64_t rows = reference.at(prefix + "logits").size(0);
    for (const auto& [kind, kind_name] :
         {std::pair{LossKind::softmax, "softmax"}, {LossKind::sigmoid, "sigmoid"}}) {
      for (const auto& [temperature, text] : {std::pair{1.0F, "1.0"}, {2.5F, "2.5"}}) {
        const std::string name = fmt::format("{}{}_teacher_{}", prefix, kind_name, text);
        SCOPED_TRACE(name);
        const Loss loss = teacher_loss_of(kind, temperature, 1, logits, teacher, rows);
        EXPECT_NEAR(loss.mean / double{floats(name + ".loss")[0]}, 1, 1e-6);
        const Floats slopes = floats(name + ".grad");
        for (size_t i = 0; i < slopes.size(); ++i) {
          EXPECT_NEAR(loss.gradient[i], slopes[i], 2e-7) << i;
        }
      }
    }
  }
}

TEST(TeacherLoss, EqualsTheDefinition) {
  constexpr int64_t rows = 3;
  for (const int64_t tags : {1, 2, 15, 16, 17, 100}) {
    const Floats drawn = draws(2 * rows * tags);
    const Floats logits(drawn.begin(), drawn.begin() + rows * tags);
    const Floats teacher(drawn.begin() + rows * tags, drawn.end());
    const Doubles wide(logits.begin(), logits.end()), target(teacher.begin(), teacher.end());
    for (const LossKind kind : {LossKind::softmax, LossKind::sigmoid}) {
      for (const float temperature : {0.5F, 1.0F, 4.0F}) {
        const auto expected = [&](const Doubles& scores) {
          return reference_teacher_loss(kind, double{temperature}, scores, target, rows);
        };
        const Loss loss = teacher_loss_of(kind, temperature, 0.25F, logits, teacher, rows);
        EXPECT_NEAR(loss.mean, expected(wide), 1e-6 * (expected(wide) + 1)) << tags;
        for (size_t i = 0; i < wide.size(); ++i) {
          Doubles ahead = wide, behind = wide;
          ahead[i] += 1e-5;
          behind[i] -= 1e-5;
          const double slope = (expected(ahead) - expected(behind)) / 2e-5;
          ASSERT_NEAR(loss.gradient[i], 0.25 * slope, 1e-6) << tags << " tags, logit " << i;
        }
      }
    }
  }
}

// Softmax's is a divergence: 0 where both agree, whatever the level. Sigmoid's has the teacher's own
// entropy left.
TEST(TeacherLoss, HasNoSlopeWhereBothAgree) {
  const Floats logits = draws(2 * 37);
  const Loss softmax = teacher_loss_of(LossKind::softmax, 2, 1, logits, logits, 2);
  EXPECT_EQ(softmax.mean, 0);
  const Loss sigmoid = teacher_loss_of(LossKind::sigmoid, 2, 1, logits, logits, 2);
  EXPECT_GT(sigmoid.mean, 0);
  for (const Loss& loss : {softmax, sigmoid}) {
    for (const float slope : loss.gradient) EXPECT_NEAR(slope, 0, 1e-7);
  }
}

TEST(TeacherLoss, IsFiniteForExtremeScoresAndUndefinedForUndefinedOnes) {
  for (const LossKind kind : {LossKind::softmax, LossKind::sigmoid}) {
    Floats logits(20, 0), teacher(20, 0);
    logits[3] = 1e4F;
    teacher[4] = 1e4F;
    teacher[5] = -1e4F;
    const Loss loss = teacher_loss_of(kind, 1, 1, logits, teacher, 1);
    EXPECT_TRUE(std::isfinite(loss.mean));
    for (const float slope : loss.gradient) EXPECT_TRUE(std::isfinite(slope));
    for (Floats* scores : {&logits, &teacher}) {
      const float before = (*scores)[18];
      (*scores)[18] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_TRUE(std::isnan(teacher_loss_of(kind, 1, 1, logits, teacher, 1).mean));
      (*scores)[18] = before;
    }
  }
}

}  // namespace
}  // namespace hardmoe::cpu
