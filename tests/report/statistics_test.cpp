// The figures of a report against their closed forms.
#include "report/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "ingest/ingest.h"
#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

TEST(MeanOfImages, HasTheNormalInterval) {
  // Mean 0.5; variance Σ(x − ½)² / 3 = 1/3; half of the interval 1.96·√(1/3/4) = 0.5658.
  const std::vector<float> values = {1, 0, std::nanf(""), 1, 0};
  const MeanOfImages found = mean_of_images(values);
  EXPECT_EQ(found.images, 4);
  EXPECT_DOUBLE_EQ(found.mean, 0.5);
  EXPECT_NEAR(found.high - found.mean, 0.5658, 1e-4);
  EXPECT_NEAR(found.mean - found.low, 0.5658, 1e-4);
  EXPECT_EQ(mean_of_images(std::vector<float>{}).images, 0);
  EXPECT_EQ(mean_of_images(std::vector<float>{0.25F}).low, 0.25);
}

TEST(PairedDifference, IsUndefinedWhereOneIs) {
  const std::vector<float> a = {1, 0, std::nanf("")}, b = {0.5, std::nanf(""), 1};
  const auto found = paired_difference(a, b);
  EXPECT_EQ(found[0], 0.5F);
  EXPECT_TRUE(std::isnan(found[1]));
  EXPECT_TRUE(std::isnan(found[2]));
}

class TagCountsOfAParts : public testing::Test {
 protected:
  /// Images 0 … 11: all are "all", 0 … 5 "left", 3 … 5 and 9 "few".
  TagCountsOfAParts() {
    std::string list;
    for (int i = 0; i < 12; ++i) {
      const std::string name = fmt::format("{}.png", i);
      overwrite(folder / name, encode_png(numbered_image(i, 8, 8)));
      std::vector<std::string> tags = {"all"};
      if (i < 6) tags.emplace_back("left");
      if ((i >= 3 && i < 6) || i == 9) tags.emplace_back("few");
      list += json_of(name, tags);
    }
    overwrite(folder / "list.jsonl", list);
    IngestOptions options;
    options.sources = {(folder / "list.jsonl").string()};
    options.out = folder / "data";
    options.val_fraction = 0;
    options.min_tag_count = 1;
    ingest(options);
  }
  TemporaryFolder folder;
};

TEST(Information, IsThatOfItsDefinition) {
  TemporaryFolder folder;
  std::string list;
  for (int i = 0; i < 8; ++i) {
    const std::string name = fmt::format("{}.png", i);
    overwrite(folder / name, encode_png(numbered_image(i, 8, 8)));
    list += json_of(name, {i % 2 == 0 ? "even" : "odd"});
  }
  overwrite(folder / "list.jsonl", list);
  IngestOptions options;
  options.sources = {(folder / "list.jsonl").string()};
  options.out = folder / "data";
  options.val_fraction = 0;
  options.min_tag_count = 1;
  ingest(options);
  const Dataset dataset = Dataset::open(folder / "data");
  const Split& split = dataset.split("train");
  const int64_t tags = dataset.vocabulary().size();
  ASSERT_EQ(tags, 2);
  std::vector<uint16_t> by_tag, alternating, one(8, 0), all_but_one;
  std::map<int32_t, int> seen;
  for (int64_t i = 0; i < 8; ++i) {
    const int32_t tag = split.tags(i)[0];
    by_tag.push_back(static_cast<uint16_t>(tag));
    alternating.push_back(static_cast<uint16_t>(seen[tag]++ % 2));
    all_but_one.push_back(static_cast<uint16_t>(seen[tag] == 1 && tag == 0 ? 1 - tag : tag));
  }
  EXPECT_NEAR(mutual_information(split, by_tag, 2, tags), 1, 1e-12);
  EXPECT_NEAR(mutual_information(split, alternating, 2, tags), 0, 1e-12);
  EXPECT_EQ(mutual_information(split, one, 3, tags), 0);
  // Joint shares 3/8, 1/8, 0, 4/8: H(3/8) − ½·H(1/4) bits.
  const auto entropy = [](double p) { return -p * std::log2(p) - (1 - p) * std::log2(1 - p); };
  EXPECT_NEAR(mutual_information(split, all_but_one, 2, tags), entropy(0.375) - entropy(0.25) / 2,
              1e-12);
  // Of eight images in two halves what chance shows is one of few values, the same every time.
  const double chance = chance_information(split, by_tag, 2, tags);
  EXPECT_LT(chance, 1);
  EXPECT_EQ(chance, chance_information(split, by_tag, 2, tags));
}

TEST_F(TagCountsOfAParts, AreOfTheHypergeometricDistribution) {
  const Dataset dataset = Dataset::open(folder / "data");
  const Split& train = dataset.split("train");
  ASSERT_EQ(train.size(), 12);
  const auto& tags = dataset.vocabulary().tags;
  const auto id = [&](const std::string& tag) {
    return static_cast<int32_t>(std::ranges::find(tags, tag) - tags.begin());
  };
  std::vector<uint16_t> part(12);
  for (int64_t i = 0; i < 12; ++i)
    part[static_cast<size_t>(i)] = std::stoi(train.key(i)) < 4 ? 0 : 1;
  const TagCounts counts(train, part, 2, dataset.vocabulary().size());
  // Part 0 has 4 images, all "left": (4/4) / (6/12) = 2; one "few": (1/4) / (4/12) = 0.75.
  EXPECT_EQ(counts.count(0, id("left")), 4);
  EXPECT_DOUBLE_EQ(counts.over_representation(0, id("left")), 2);
  EXPECT_DOUBLE_EQ(counts.over_representation(0, id("few")), 0.75);
  EXPECT_DOUBLE_EQ(counts.over_representation(1, id("left")), 0.5);
  EXPECT_DOUBLE_EQ(counts.over_representation(1, id("all")), 1);
  // e = 6·4/12 = 2; variance 2·(1 − 4/12)·(1 − 6/12) = 2/3.
  EXPECT_NEAR(counts.surprise(0, id("left")), 2 / std::sqrt(2.0 / 3), 1e-9);
  EXPECT_EQ(counts.surprise(0, id("all")), 0) << "all images have it";
  EXPECT_EQ(counts.most_surprising(0, 5), std::vector<int32_t>{id("left")});
  EXPECT_TRUE(counts.most_surprising(1, 5).empty());
}

TEST(CalibrationOf, ComparesProbabilitiesWithShares) {
  // Two at 0.25, one right; four at 0.875, all right: error (2/6)·0.25 + (4/6)·0.125.
  const std::vector<float> probability = {0.25F, 0.25F, 0.875F, 0.875F, 0.875F, 0.875F};
  const Calibration found = calibration_of(probability, {true, false, true, true, true, true});
  EXPECT_EQ(found.bins[2].images, 2);
  EXPECT_DOUBLE_EQ(found.bins[2].right, 0.5);
  EXPECT_DOUBLE_EQ(found.bins[8].probability, 0.875);
  EXPECT_NEAR(found.expected_error, 1.0 / 6, 1e-12);
  EXPECT_EQ(calibration_of(std::vector<float>{1}, {true}).bins[9].images, 1);
}

TEST(FrequencyBins, DoubleFromOneOn) {
  FrequencyBins bins;
  for (const int64_t count : {1, 2, 3, 4, 7, 8}) bins.add(count, count % 2 == 1);
  const auto found = bins.bins(1);
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[1].from, 2);
  EXPECT_EQ(found[1].to, 4);
  EXPECT_EQ(found[1].cases, 2);
  EXPECT_EQ(found[1].hits, 1);
  EXPECT_EQ(found[3].cases, 1);
  EXPECT_EQ(bins.bins(2).size(), 2U);
}

}  // namespace
}  // namespace hardmoe
