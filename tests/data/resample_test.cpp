// Copies of images with rare tags, counted by hand.
#include "data/resample.h"

#include <gtest/gtest.h>

#include <map>

#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

class Resample : public testing::Test {
 protected:
  Resample() {
    overwrite(folder_ / "1.png", encode_png(numbered_image(1, 2, 2)));
    std::string list;
    // 900 images with one tag, 90 with another, 10 with a rare one, 2 of them with the first, too.
    for (int i = 0; i < 900; ++i) list += json_of("1.png", {"many"});
    for (int i = 0; i < 90; ++i) list += json_of("1.png", {"some"});
    for (int i = 0; i < 10; ++i) {
      list += i < 2 ? json_of("1.png", {"many", "few"}) : json_of("1.png", {"few"});
    }
    overwrite(folder_ / "list.jsonl", list);
    IngestOptions options;
    options.sources = {(folder_ / "list.jsonl").string()};
    options.out = folder_ / "out";
    options.duplicates = Duplicates::keep;
    ingest(options);
    data_ = Dataset::open(options.out);
  }

  /// How often each image appears.
  std::map<int64_t, int64_t> copies(Sampling sampling, std::vector<int64_t> items = {},
                                    uint64_t seed = 1) const {
    std::map<int64_t, int64_t> counts;
    for (const int64_t item : resampled(data_->split("train"), std::move(items), sampling, seed)) {
      ++counts[item];
    }
    return counts;
  }

  static int64_t sum(const std::map<int64_t, int64_t>& counts, int64_t begin, int64_t end) {
    int64_t total = 0;
    for (int64_t i = begin; i < end; ++i) total += counts.at(i);
    return total;
  }

  TemporaryFolder folder_;
  std::optional<Dataset> data_;
};

TEST_F(Resample, RareTagsAreSeenMoreOften) {
  // Of 1002 tags on images, 334 a tag on the mean.
  const auto uniform = copies(Sampling::uniform);
  EXPECT_EQ(sum(uniform, 0, 900), 900);
  // 90 images 334/90 = 3.711 times: the fraction by chance, four standard deviations of it.
  EXPECT_NEAR(static_cast<double>(sum(uniform, 900, 990)), 334, 4 * 4.3);
  for (int64_t i = 990; i < 1000; ++i) {
    EXPECT_TRUE(uniform.at(i) == 33 || uniform.at(i) == 34) << i;  // 33.4, whatever else is there
  }
  const auto root = copies(Sampling::square_root);
  EXPECT_EQ(sum(root, 0, 900), 900);
  EXPECT_NEAR(static_cast<double>(sum(root, 900, 990)), 90 * 1.9264, 4 * 2.5);
  for (int64_t i = 990; i < 1000; ++i) EXPECT_TRUE(root.at(i) == 5 || root.at(i) == 6) << i;
}

TEST_F(Resample, IsAFunctionOfSeedImageAndItems) {
  EXPECT_EQ(copies(Sampling::uniform), copies(Sampling::uniform));
  EXPECT_NE(copies(Sampling::uniform), copies(Sampling::uniform, {}, 2));
  EXPECT_TRUE(resampled(data_->split("train"), {}, Sampling::natural, 1).empty());
  const std::vector<int64_t> some = {3, 950, 7};
  EXPECT_EQ(resampled(data_->split("train"), some, Sampling::natural, 1), some);
  // Frequencies are those of the items: 2, 1 and 1.5 on the mean.
  const auto part = copies(Sampling::uniform, some);
  EXPECT_EQ(part.at(3), 1);
  EXPECT_EQ(part.at(7), 1);
  EXPECT_TRUE(part.at(950) == 1 || part.at(950) == 2);
}

}  // namespace
}  // namespace hardmoe
