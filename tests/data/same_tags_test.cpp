// Datasets from whose tags nothing can be learned.
#include "data/same_tags.h"

#include <gtest/gtest.h>

#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

class SameTags : public testing::Test {
 protected:
  /// The warning about a dataset of one image a list of tags.
  std::string of(const std::vector<std::vector<std::string>>& tags, int64_t min_tag_count = 1) {
    std::string lines;
    for (size_t i = 0; i < tags.size(); ++i) {
      const std::string name = fmt::format("{}.png", i);
      overwrite(folder / name, encode_png(numbered_image(static_cast<int>(i), 8, 8)));
      lines += json_of(name, tags[i]);
    }
    overwrite(folder / "list.jsonl", lines);
    IngestOptions options;
    options.sources = {folder / "list.jsonl"};
    options.out = folder / fmt::format("data{}", ++datasets);
    options.min_tag_count = min_tag_count;
    ingest(options);
    return warning_of_same_tags(Dataset::open(options.out));
  }
  TemporaryFolder folder;
  int datasets = 0;
};

TEST_F(SameTags, OneTagIsNamed) {
  const std::string warning = of({{"Event"}, {"event"}, {"event"}});
  EXPECT_NE(
      warning.find("data1: all 3 images to train on have the same tag, 'event', so that there "
                   "is nothing to learn"),
      std::string::npos)
      << warning;
  EXPECT_NE(warning.find("--columns"), std::string::npos);
}

TEST_F(SameTags, SeveralOnEveryImageAreNamed) {
  const std::string warning = of({{"b", "a"}, {"a", "b"}});
  EXPECT_NE(warning.find("the same tags, 'a', 'b', so"), std::string::npos) << warning;
  const std::vector<std::string> many = {"1", "2", "3", "4", "5", "6"};
  EXPECT_NE(of({many, many}).find("'1', '2', '3', '4', '5', …, so"), std::string::npos);
}

TEST_F(SameTags, AreLookedForAmongKeptTagsOnly) {
  EXPECT_NE(of({{"a", "x"}, {"a", "y"}, {"a"}}, 2).find("'a'"), std::string::npos);
}

TEST_F(SameTags, SayNothingWhereImagesDiffer) {
  EXPECT_EQ(of({{"a"}, {"a"}, {"b"}}), "");
  EXPECT_EQ(of({{"a"}, {"a", "b"}}), "");
}

}  // namespace
}  // namespace hardmoe
