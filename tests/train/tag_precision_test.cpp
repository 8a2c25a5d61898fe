// Class-wise mAP beside scikit-learn, and from memory or from a file.
#include "train/tag_precision.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "expect_error.h"
#include "temporary_folder.h"
#include "tensor/safetensors.h"
#include "test_files.h"
#include "train/probability.h"

namespace hardmoe {
namespace {

/// metrics.safetensors, as rows with their tags.
struct Reference {
  StateDict tensors = load_safetensors(test_file("metrics.safetensors"));
  int64_t images = tensors.at("scores").size(0);

  std::span<const int32_t> tags(int64_t row) const {
    const auto pointers = tensors.at("tag_ptr").as<int32_t>();
    const auto begin = static_cast<size_t>(pointers[static_cast<size_t>(row)]);
    const auto end = static_cast<size_t>(pointers[static_cast<size_t>(row) + 1]);
    return tensors.at("tag_ids").as<int32_t>().subspan(begin, end - begin);
  }

  ScoreRows& fill(ScoreRows& rows) const {
    const auto values = tensors.at("scores").as<float>();
    const auto width = static_cast<size_t>(rows.width());
    for (size_t i = 0; i < static_cast<size_t>(images); ++i) {
      rows.add(values.subspan(i * width, width));
    }
    return rows;
  }
};

TEST(TagPrecision, MatchesScikitLearnWithEqualScores) {
  const Reference reference;
  std::vector<uint16_t> groups;
  for (int64_t i = 0; i < reference.images; ++i) groups.push_back(static_cast<uint16_t>(i * i % 3));
  const auto expected = reference.tensors.at("map").as<double>();  // mean, tags; three groups, all
  const int64_t width = reference.tensors.at("scores").size(1);
  for (const int64_t memory : {int64_t{1} << 20, 7 * 4 * width, int64_t{1}}) {
    ScoreRows rows(width, memory);  // all in memory; 7 rows; one
    const auto found = tag_precision(
        reference.fill(rows), [&](int64_t row) { return reference.tags(row); }, groups, 3);
    ASSERT_EQ(found.size(), 4U);
    for (size_t g = 0; g < 4; ++g) {
      EXPECT_NEAR(found[g].mean, expected[2 * g], 1e-12) << g << " at " << memory;
      EXPECT_EQ(found[g].tags, expected[2 * g + 1]) << g;
    }
  }
}

TEST(TagPrecision, MatchesAnExampleWorkedOutByHand) {
  // Tag 0 is on images 0 and 2, tag 1 on 1; tag 2 on none. Image 3 has no tags and counts nowhere.
  ScoreRows rows(3);
  rows.add(std::vector<float>{0.9F, 0.5F, 0.1F});
  rows.add(std::vector<float>{0.8F, 0.5F, 0.9F});
  rows.add(std::vector<float>{0.7F, 0.2F, 0.3F});
  rows.add(std::vector<float>{9, 9, 9});
  const std::vector<std::vector<int32_t>> tags = {{0}, {1}, {0}, {}};
  const auto tags_of = [&](int64_t row) {
    return std::span<const int32_t>(tags[static_cast<size_t>(row)]);
  };
  const auto all = tag_precision(rows, tags_of, {}, 0);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].tags, 2);
  EXPECT_DOUBLE_EQ(all[0].mean, ((1 + 2.0 / 3) / 2 + 1.0 / 2) / 2);  // image 1 shares its score
  const std::vector<uint16_t> groups = {0, 0, 0, 1};
  const auto apart = tag_precision(rows, tags_of, groups, 2);
  EXPECT_DOUBLE_EQ(apart[0].mean, all[0].mean);
  EXPECT_EQ(apart[1].tags, 0);
  EXPECT_EQ(apart[1].mean, 0);
  expect_error(
      [&] {
        const std::vector<int32_t> beyond = {3};
        tag_precision(
            rows, [&](int64_t) { return std::span<const int32_t>(beyond); }, {}, 0);
      },
      {"tag 3", "tags 0 to 2"});
}

TEST(ScoreRows, SayWhereTheyCannotGo) {
  const TemporaryFolder folder;
  const char* before = ::getenv("TMPDIR");
  const std::string kept = before != nullptr ? before : "";
  ::setenv("TMPDIR", (folder / "gone").c_str(), 1);
  ScoreRows rows(2, 8);
  rows.add(std::vector<float>{1, 2});
  expect_error([&] { rows.add(std::vector<float>{1, 2}); }, {"gone: no temporary file", "TMPDIR"});
  ::setenv("TMPDIR", folder.path().c_str(), 1);
  rows.add(std::vector<float>{3, 4});
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "it has a name";
  std::vector<float> seen;
  rows.for_each([&](int64_t first, int64_t, std::span<const float> values) {
    EXPECT_EQ(first * 2, std::ssize(seen));
    seen.insert(seen.end(), values.begin(), values.end());
  });
  EXPECT_EQ(seen, (std::vector<float>{1, 2, 3, 4}));
  before == nullptr ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", kept.c_str(), 1);
  expect_error([&] { rows.add(std::vector<float>{1}); }, {"1 scores", "expected 2"});
}

TEST(Probability, MatchesSoftmaxAndSigmoidInDoublePrecision) {
  const std::vector<float> logits = {1, -2, 40};
  std::vector<float> p(3, 0.0F), log_p(3);
  double total = 0;
  for (const float z : logits) total += std::exp(static_cast<double>(z));
  add_probabilities(LossKind::softmax, logits, 0.5F, p.data());
  log_probabilities(LossKind::softmax, logits, log_p.data());
  for (size_t j = 0; j < 3; ++j) {
    const double expected = std::exp(static_cast<double>(logits[j])) / total;
    EXPECT_NEAR(p[j], 0.5 * expected, 1e-7);
    EXPECT_NEAR(log_p[j], std::log(expected), 1e-6 * std::abs(std::log(expected)) + 1e-12);
  }
  EXPECT_LT(log_p[2], 0) << "1 − 1e-17 is not 1";
  std::vector<float> q(3, 0.0F);
  add_probabilities(LossKind::sigmoid, logits, 1, q.data());
  log_probabilities(LossKind::sigmoid, logits, log_p.data());
  for (size_t j = 0; j < 3; ++j) {
    const double expected = 1 / (1 + std::exp(-static_cast<double>(logits[j])));
    EXPECT_NEAR(q[j], expected, 1e-7);
    EXPECT_NEAR(log_p[j], std::log(expected), 1e-6);
  }
  EXPECT_LT(log_p[2], 0);
}

TEST(Probability, TheLossIsWhatItWasTrainedWith) {
  const TemporaryFolder folder;
  EXPECT_EQ(loss_of(folder.path()), LossKind::softmax);
  const auto record = [&](const Json& inputs) {
    write_json(folder / "stage.json", {{"inputs", inputs}});
    return loss_of(folder.path());
  };
  EXPECT_EQ(record({{"base", {{"loss", "sigmoid"}}}}), LossKind::sigmoid);
  EXPECT_EQ(record({{"base", "5f3a"}, {"expert", {{"loss", "sigmoid"}}}}), LossKind::sigmoid);
  EXPECT_EQ(record({{"base", "5f3a"}, {"decoder", {{"loss", "softmax"}}}}), LossKind::softmax);
}

}  // namespace
}  // namespace hardmoe
