// What moe-tags tells, against counts made by hand, and WordNet as Debian installs it.
#include "ingest/tag_statistics.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "outside.h"
#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

/// A dataset of images with these tags.
Dataset dataset_of(const TemporaryFolder& folder, const std::vector<Strings>& tags) {
  std::string list;
  overwrite(folder / "1.png", encode_png(numbered_image(1, 2, 2)));
  for (const auto& image : tags) list += json_of("1.png", image);
  overwrite(folder / "list.jsonl", list);
  IngestOptions options;
  options.sources = {(folder / "list.jsonl").string()};
  options.out = folder / "out";
  options.duplicates = Duplicates::keep;
  ingest(options);
  return Dataset::open(options.out);
}

TEST(TagStatistics, CompanionsAreCounted) {
  const TemporaryFolder folder;
  const Dataset data =
      dataset_of(folder, {{"dog", "beach"}, {"dog", "cat"}, {"dog", "beach"}, {"beach"}, {"cat"}});
  const auto& names = data.vocabulary().tags;
  const auto number = [&](const char* tag) {
    return static_cast<int32_t>(std::find(names.begin(), names.end(), tag) - names.begin());
  };
  const auto found = companions_of(data.split("train"), number("dog"));
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].tag, number("beach"));
  EXPECT_EQ(found[0].together, 2);
  EXPECT_DOUBLE_EQ(found[0].lift, 2 / (3 * 3 / 5.0));
  EXPECT_EQ(found[1].tag, number("cat"));
  EXPECT_EQ(found[1].together, 1);
  EXPECT_DOUBLE_EQ(found[1].lift, 1 / (3 * 2 / 5.0));
}

TEST(TagStatistics, WhatSaysNothingIsSuggestedAsAStopTag) {
  // Ten subjects of five words each, three of them on an image; "instagood" on a quarter of all
  // images whatever they show, "dark" on as many, but only of two subjects.
  Random random(1, RandomUse::test);
  std::vector<Strings> images;
  for (int i = 0; i < 4000; ++i) {
    const auto subject = random.below(10);
    Strings tags;
    for (int k = 0; k < 3; ++k) tags.push_back(fmt::format("s{}w{}", subject, random.below(5)));
    if (random.below(4) == 0) tags.emplace_back("instagood");
    if (subject < 2 && random.below(10) < 9) tags.emplace_back("dark");
    if (i % 2 == 0) tags.emplace_back("photo");
    if (i % 50 == 0) tags.insert(tags.end(), {"2012", "geo:lat=1", "x"});
    images.push_back(tags);
  }
  for (int i = 0; i < 60; ++i) images.push_back({"unsorted"});
  const TemporaryFolder folder;
  const Dataset data = dataset_of(folder, images);
  std::map<std::string, std::string> found;
  for (const auto& [tag, reason] : suggest_stop_tags(data.split("train"), data.vocabulary())) {
    found[data.vocabulary().tags[static_cast<size_t>(tag)]] = reason;
  }
  EXPECT_EQ(found, (std::map<std::string, std::string>{{"photo", "on 49% of the images"},
                                                       {"instagood", "goes with all others alike"},
                                                       {"unsorted", "never beside another tag"},
                                                       {"2012", "a number"},
                                                       {"geo:lat=1", "a machine tag"},
                                                       {"x", "a single letter"}}));
}

TEST(TagStatistics, SynonymsAreThoseOfWordNet) {
  const auto [nouns, missing] = outside("HARDMOE_WORDNET", "index.noun", "/usr/share/wordnet");
  if (!missing.empty()) GTEST_SKIP() << missing << "; Debian's wordnet-base has it";
  const WordNet wordnet(nouns.parent_path());
  // `wn car -synsn` and so on.
  EXPECT_EQ(wordnet.senses("car").size(), 5U);
  EXPECT_EQ(wordnet.senses("car").at(0), 2958343);
  EXPECT_EQ(wordnet.senses("domestic cat").at(0), 2121808);
  EXPECT_EQ(wordnet.senses("zygote").size(), 1U);  // near the last line
  EXPECT_TRUE(wordnet.senses("").empty());
  EXPECT_TRUE(wordnet.senses("qwertyx").empty());
  EXPECT_TRUE(wordnet.senses("zzzz").empty());
  Vocabulary vocabulary;
  vocabulary.tags = {"car",  "cats",  "beach", "automobile", "cat",
                     "auto", "glass", "dogs",  "dog",        "x"};
  vocabulary.counts = {9, 8, 7, 6, 5, 4, 3, 2, 1, 1};
  std::vector<std::pair<std::string, std::string>> merges;
  for (const auto& [from, to] : synset_merges(vocabulary, wordnet)) {
    merges.emplace_back(vocabulary.tags[static_cast<size_t>(from)],
                        vocabulary.tags[static_cast<size_t>(to)]);
  }
  EXPECT_EQ(merges, (std::vector<std::pair<std::string, std::string>>{
                        {"automobile", "car"}, {"cat", "cats"}, {"auto", "car"}, {"dog", "dogs"}}));
  EXPECT_THROW(wordnet.tags_of("x"), Error);
}

TEST(TagStatistics, PlotFallsFromLeftToRight) {
  Vocabulary vocabulary;
  for (int i = 1; i <= 100; ++i) {
    vocabulary.tags.push_back(fmt::format("t{}", i));
    vocabulary.counts.push_back(10000 / i - 1);
  }
  // On logarithmic axes, 10000/rank falls in a straight line from 4 rows to 2.
  EXPECT_EQ(plot_long_tail(vocabulary, 9, 4),
            "   10k │█▆▄▂\n"
            "   999 │█████▆▄▂\n"
            "    99 │█████████\n"
            "     9 │█████████\n"
            "images └─────────\n"
            "  rank  1   10\n");
}

}  // namespace
}  // namespace hardmoe
