// The base's share beside SciPy's minimum, and the means it weighs beside closed forms.
#include "moe/base_share.h"

#include <gtest/gtest.h>

#include <cmath>

#include "moe/mixed_answers.h"
#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe {
namespace {

struct Case {
  Mix mix;
  LossKind loss;
};
constexpr Case cases[] = {{Mix::geometric, LossKind::softmax},
                          {Mix::arithmetic, LossKind::softmax},
                          {Mix::geometric, LossKind::sigmoid},
                          {Mix::arithmetic, LossKind::sigmoid}};

TEST(BaseShare, IsNextToWhatSciPyMinimises) {
  const StateDict stored = load_safetensors(test_file("base_share.safetensors"));
  const auto logits = stored.at("logits").as<float>();
  const auto pointers = stored.at("tag_ptr").as<int32_t>();
  const auto ids = stored.at("tag_ids").as<int32_t>();
  const int64_t width = stored.at("logits").size(1);
  const auto tags_of = [&](int64_t row) {
    const auto begin = static_cast<size_t>(pointers[static_cast<size_t>(row)]);
    return ids.subspan(begin, static_cast<size_t>(pointers[static_cast<size_t>(row) + 1]) - begin);
  };
  for (const int64_t memory : {int64_t{1} << 20, 7 * 4 * width}) {  // all in memory; 7 rows
    ScoreRows rows(width, memory);
    for (int64_t i = 0; i < stored.at("logits").size(0); ++i) {
      rows.add(logits.subspan(static_cast<size_t>(i * width), static_cast<size_t>(width)));
    }
    std::vector<float> row(static_cast<size_t>(width));
    rows.read(150, row);
    EXPECT_EQ(row[3], logits[static_cast<size_t>(150 * width + 3)]);
    for (size_t c = 0; c < 4; ++c) {
      EXPECT_NEAR(fit_base_share(rows, tags_of, cases[c].mix, cases[c].loss),
                  stored.at("shares").as<double>()[c], 0.0011)
          << c;
    }
  }
}

TEST(BaseShare, EndsWhereOneAloneIsBest) {
  const std::vector<int32_t> tag = {1};
  const auto tags_of = [&](int64_t) { return std::span<const int32_t>(tag); };
  ScoreRows base_right(4), expert_right(4), untagged(4);
  base_right.add(std::vector<float>{0, 9, 9, 0});
  expert_right.add(std::vector<float>{9, 0, 0, 9});
  untagged.add(std::vector<float>{0, 9, 9, 0});
  for (const auto& [mix, loss] : cases) {
    EXPECT_EQ(fit_base_share(base_right, tags_of, mix, loss), 1);
    EXPECT_EQ(fit_base_share(expert_right, tags_of, mix, loss), 0);
    EXPECT_EQ(fit_base_share(
                  untagged, [](int64_t) { return std::span<const int32_t>(); }, mix, loss),
              0);
  }
}

/// The mean of two answers with these shares, normalised.
std::vector<double> mean_of(Mix mix, LossKind loss, const std::vector<float>& a,
                            const std::vector<float>& b, float share) {
  std::vector<float> sum(a.size());
  add_answer(mix, loss, a, share, sum.data());
  add_answer(mix, loss, b, 1 - share, sum.data());
  normalise_answer(mix, loss, sum);
  return {sum.begin(), sum.end()};
}

// log P_geometric = Σ w log P_i − log Z, with Z the sum over tags; of one tag's odds for sigmoid.
TEST(MixedAnswers, AreTheMeansOfLogarithmsOrOfProbabilities) {
  const std::vector<float> a = {1, -2, 0.5F}, b = {-1, 0, 3};
  double total_a = 0, total_b = 0, total = 0;
  for (size_t j = 0; j < 3; ++j) {
    total_a += std::exp(double{a[j]});
    total_b += std::exp(double{b[j]});
  }
  std::vector<double> geometric(3), arithmetic(3);
  for (size_t j = 0; j < 3; ++j) {
    const double p = std::exp(double{a[j]}) / total_a, q = std::exp(double{b[j]}) / total_b;
    geometric[j] = 0.3 * std::log(p) + 0.7 * std::log(q);
    total += std::exp(geometric[j]);
    arithmetic[j] = 0.3 * p + 0.7 * q;
  }
  const auto logs = mean_of(Mix::geometric, LossKind::softmax, a, b, 0.3F);
  const auto means = mean_of(Mix::arithmetic, LossKind::softmax, a, b, 0.3F);
  const auto odds = mean_of(Mix::geometric, LossKind::sigmoid, a, b, 0.3F);
  for (size_t j = 0; j < 3; ++j) {
    EXPECT_NEAR(logs[j], geometric[j] - std::log(total), 1e-6);
    EXPECT_NEAR(means[j], arithmetic[j], 1e-7);
    const double z = 0.3 * double{a[j]} + 0.7 * double{b[j]};
    EXPECT_NEAR(odds[j], -std::log1p(std::exp(-z)), 1e-6);
  }
}

TEST(MixedAnswers, LogitsOfProbabilitiesGiveThemBack) {
  std::vector<float> p = {0.7F, 0.3F, 0}, q = {0.9F, 0.5F, 1};
  to_logits(LossKind::softmax, p);
  std::vector<float> back(3);
  add_answer(Mix::arithmetic, LossKind::softmax, p, 1, back.data());
  EXPECT_NEAR(back[0], 0.7, 1e-6);
  EXPECT_NEAR(back[2], 0, 1e-6);
  EXPECT_TRUE(std::isfinite(p[2]));
  to_logits(LossKind::sigmoid, q);
  back.assign(3, 0);
  add_answer(Mix::arithmetic, LossKind::sigmoid, q, 1, back.data());
  EXPECT_NEAR(back[0], 0.9, 1e-6);
  EXPECT_NEAR(back[1], 0.5, 1e-6);
  EXPECT_NEAR(back[2], 1, 1e-6);
  EXPECT_TRUE(std::isfinite(q[2]));
}

}  // namespace
}  // namespace hardmoe
