#include "train/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/random.h"
#include "expect_error.h"
#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe {
namespace {

using Ids = std::vector<int32_t>;

TEST(Metrics, MatchAnImageWorkedOutByHand) {
  // Ranking: 3, 0, 4, 1, 2. The image's tags 0 and 2 have ranks 2 and 5.
  const std::vector<float> scores = {0.8F, 0.2F, 0.1F, 0.9F, 0.5F};
  MetricsAccumulator accumulator({1, 2, 5});
  accumulator.add(scores, Ids{0, 2});
  accumulator.add(scores, Ids{3});  // rank 1
  accumulator.add(scores, Ids{});
  const RankingMetrics result = accumulator.result();
  EXPECT_EQ(result.images, 2);
  EXPECT_EQ(result.without_tags, 1);
  EXPECT_NEAR(result.label_ranking_precision, ((1.0 / 2 + 2.0 / 5) / 2 + 1) / 2, 1e-9);
  ASSERT_EQ(result.at.size(), 3U);
  EXPECT_DOUBLE_EQ(result.at[0].precision, 0.5);
  EXPECT_DOUBLE_EQ(result.at[0].hit, 0.5);
  EXPECT_DOUBLE_EQ(result.at[1].precision, (0.5 + 0.5) / 2);
  EXPECT_DOUBLE_EQ(result.at[1].recall_macro, (0.5 + 1.0) / 2);
  EXPECT_DOUBLE_EQ(result.at[1].recall_micro, 2.0 / 3);
  EXPECT_DOUBLE_EQ(result.at[2].precision, (2.0 / 5 + 1.0 / 5) / 2);
  EXPECT_DOUBLE_EQ(result.at[2].recall_micro, 1);
  EXPECT_DOUBLE_EQ(result.at[2].hit, 1);
}

TEST(Metrics, EachImagesOwnValuesHaveTheMetricsAsMeans) {
  const StateDict reference = load_safetensors(test_file("metrics.safetensors"));
  const auto scores = reference.at("scores").as<float>();
  const auto tag_ptr = reference.at("tag_ptr").as<int32_t>();
  const auto tag_ids = reference.at("tag_ids").as<int32_t>();
  const auto tags = static_cast<size_t>(reference.at("scores").size(1));
  const auto names = image_metrics({1, 5, 10});
  ASSERT_EQ(names.size(), 10U);
  MetricsAccumulator all;
  std::vector<double> sums(names.size());
  for (size_t i = 0; i + 1 < tag_ptr.size(); ++i) {
    const auto begin = static_cast<size_t>(tag_ptr[i]), end = static_cast<size_t>(tag_ptr[i + 1]);
    std::vector<float> own(names.size());
    all.add(scores.subspan(i * tags, tags), tag_ids.subspan(begin, end - begin), own);
    for (size_t c = 0; c < own.size(); ++c) {
      EXPECT_EQ(std::isnan(own[c]), begin == end) << names[c];
      if (begin < end) sums[c] += double{own[c]};
    }
  }
  const Json metrics = metrics_json(all.result());
  const auto images = metrics.at("images").get<double>();
  for (size_t c = 0; c < names.size(); ++c) {
    EXPECT_NEAR(sums[c] / images, metrics.at(names[c]).get<double>(), 1e-7) << names[c];
  }
}

TEST(Metrics, EqualScoresRankByTagId) {
  const std::vector<float> scores(4, 1.0F);
  MetricsAccumulator first({1}), last({1});
  first.add(scores, Ids{0});
  last.add(scores, Ids{3});
  EXPECT_EQ(first.result().at[0].hit, 1);
  EXPECT_EQ(last.result().at[0].hit, 0);
  // Not so in LRAP, where all four count: scikit-learn's way, and no merit of frequent tags.
  EXPECT_NEAR(first.result().label_ranking_precision, 0.25, 1e-9);
  EXPECT_NEAR(last.result().label_ranking_precision, 0.25, 1e-9);
}

TEST(Metrics, MatchesNumPyAndScikitLearnAndMergesExactly) {
  const StateDict reference = load_safetensors(test_file("metrics.safetensors"));
  const auto scores = reference.at("scores").as<float>();
  const auto tag_ptr = reference.at("tag_ptr").as<int32_t>();
  const auto tag_ids = reference.at("tag_ids").as<int32_t>();
  const auto expected = reference.at("expected").as<double>();
  const auto tags = static_cast<size_t>(reference.at("scores").size(1));
  MetricsAccumulator all, parts[3];
  for (size_t i = 0; i + 1 < tag_ptr.size(); ++i) {
    const auto begin = static_cast<size_t>(tag_ptr[i]), end = static_cast<size_t>(tag_ptr[i + 1]);
    const auto own = tag_ids.subspan(begin, end - begin);
    all.add(scores.subspan(i * tags, tags), own);
    parts[i * i % 3].add(scores.subspan(i * tags, tags), own);
  }
  const RankingMetrics result = all.result();
  EXPECT_NEAR(result.label_ranking_precision, reference.at("lrap").as<double>()[0], 1e-9);
  for (size_t j = 0; j < 3; ++j) {
    EXPECT_NEAR(result.at[j].precision, expected[j], 1e-12);
    EXPECT_NEAR(result.at[j].recall_macro, expected[3 + j], 1e-9);
    EXPECT_NEAR(result.at[j].recall_micro, expected[6 + j], 1e-12);
    EXPECT_NEAR(result.at[j].hit, expected[9 + j], 1e-12);
  }
  MetricsAccumulator merged;
  for (const auto& part : {&parts[2], &parts[0], &parts[1]}) merged.merge(*part);
  EXPECT_EQ(metrics_json(merged.result()).dump(), metrics_json(result).dump());
}

TEST(Metrics, TableHasAColumnForEachNumber) {
  MetricsAccumulator accumulator({1, 5});
  accumulator.add(std::vector<float>{1, 2}, Ids{1});
  RankingMetrics result = accumulator.result();
  result.mean_average_precision = 0.25;
  const auto row = metrics_row("all", result);
  EXPECT_EQ(metrics_heading({1, 5}, "model"),
            (std::vector<std::string>{"model", "images", "mAP", "LRAP", "P@1", "P@5", "R@1", "R@5",
                                      "hit@1", "hit@5"}));
  EXPECT_EQ(row, (std::vector<std::string>{"all", "1", "0.250", "1.000", "1.000", "0.200", "1.000",
                                           "1.000", "1.000", "1.000"}));
}

TEST(Metrics, OfNoImagesAreNullAndDashes) {
  MetricsAccumulator accumulator({1});
  accumulator.add(std::vector<float>{1, 2}, Ids{});
  const RankingMetrics none = accumulator.result();
  EXPECT_EQ(metrics_row("expert 3", none),
            (std::vector<std::string>{"expert 3", "0", "–", "–", "–", "–", "–"}));
  const Json json = metrics_json(none);
  EXPECT_EQ(json.dump(),
            R"({"images":0,"without_tags":1,"mAP":null,"mAP_tags":0,"LRAP":null,"P@1":null,)"
            R"("R@1":null,"R@1_micro":null,"hit@1":null})");
  EXPECT_EQ(metrics_json(parse_metrics(json, {1}, "it")), json);
  accumulator.add(std::vector<float>{1, 2}, Ids{1});
  const Json some = metrics_json(accumulator.result());
  EXPECT_EQ(metrics_json(parse_metrics(some, {1}, "it")), some);
  expect_error([&] { parse_metrics(some, {5}, "old.json"); }, {"old.json", "P@5"});
}

TEST(Metrics, ADivergedModelIsAnError) {
  MetricsAccumulator accumulator;
  expect_error(
      [&] {
        accumulator.add(std::vector<float>{NAN, 1, NAN}, Ids{0});
      },
      {"2 of 3 scores", "diverged"});
  expect_error(
      [&] {
        accumulator.add(std::vector<float>{0, 1, -INFINITY}, Ids{0});
      },
      {"1 of 3 scores", "not finite", "diverged"});
  expect_error(
      [&] {
        accumulator.add(std::vector<float>{1, 2}, Ids{2});
      },
      {"tag 2", "scores tags 0 to 1"});
  expect_error([&] { accumulator.add(std::vector<float>{1, 2}, Ids{-1, 0}); }, {"tag -1"});
  expect_error([] { MetricsAccumulator({0, 5}); }, {"k of 1 or above"}, ExitStatus::usage);
  expect_error([&] { accumulator.merge(MetricsAccumulator({3})); }, {"different k"});
}

TEST(TopK, MatchesAFullStableSort) {
  Random random(8, RandomUse::test);
  std::vector<float> scores(1000);
  for (float& score : scores) score = std::round(random.normal() * 30);
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  for (const int64_t k : {1, 10, 999, 1000}) {
    EXPECT_EQ(top_k(scores, k), std::vector<int32_t>(order.begin(), order.begin() + k)) << k;
  }
  EXPECT_EQ(top_k(scores, 5000).size(), 1000U);
  EXPECT_TRUE(top_k(scores, 0).empty());
}

}  // namespace
}  // namespace hardmoe
