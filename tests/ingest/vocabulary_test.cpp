// Hand-worked cases of tag clean-up and vocabularies.
#include "ingest/vocabulary.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "expect_error.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {

using Strings = std::vector<std::string>;

TEST(Tags, AreCleaned) {
  EXPECT_EQ(clean_tag("#SunSet"), "sunset");
  EXPECT_EQ(clean_tag("  ## New\t\n York  "), "new york");
  EXPECT_EQ(clean_tag("STRASSE"), "strasse");
  EXPECT_EQ(clean_tag("Stra\u00dfe"), "strasse");                  // full case folding
  EXPECT_EQ(clean_tag("Cafe\u0301"), "caf\u00e9");                 // composed
  EXPECT_EQ(clean_tag("\uff03\uff26\uff35\uff2c\uff2c"), "full");  // full-width, '#' too
  EXPECT_EQ(clean_tag("c#"), "c#");
  EXPECT_EQ(clean_tag("###"), "");
  EXPECT_EQ(clean_tag(" \u00a0 "), "");
  EXPECT_EQ(clean_tag("bad\xff"), "");
}

TEST(Tags, RulesStopAndMerge) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "stop", "\xEF\xBB\xBF# comment\n#Photo\n\nNSFW\n");
  write_file_atomic(folder / "merge", "\xEF\xBB\xBFkitty\tcat\nKitten\tkitty\nsnap\tphoto\n");
  const TagRules rules = load_tag_rules(folder / "stop", folder / "merge");
  EXPECT_EQ(clean_tags({"Kitten", "photo", "dog", "CAT", "snap", "", "dog "}, rules),
            (Strings{"cat", "dog"}));
  EXPECT_EQ(clean_tags({"Kitten"}, load_tag_rules({}, {})), (Strings{"kitten"}));
}

TEST(Tags, WrongRulesNameTheLine) {
  const TemporaryFolder folder;
  const auto load = [&](const std::string& text) {
    write_file_atomic(folder / "merge", text);
    load_tag_rules({}, folder / "merge");
  };
  expect_error([&] { load("a\tb\nno tab\n"); }, {"line 2", "no tab"}, ExitStatus::usage);
  expect_error([&] { load("a\tb\na\tc\n"); }, {"line 2", "'a'", "'b'", "'c'"}, ExitStatus::usage);
  expect_error([&] { load("a\tb\nb\tc\nc\ta\n"); }, {"circle"}, ExitStatus::usage);
  expect_error([&] { load("z\tb\nb\tc\nc\tb\n"); }, {"circle"}, ExitStatus::usage);
  expect_error(
      [&] {
        load(
            "\xFF\xFE"
            "a");
      },
      {"UTF-16", "iconv"}, ExitStatus::usage);
  expect_error([&] { load_tag_rules(folder / "none", {}); }, {"none", "--stop-tags"},
               ExitStatus::usage);
}

TEST(Vocabulary, IsRankedByCountThenName) {
  const std::unordered_map<std::string, int64_t> counts = {
      {"rare", 1}, {"b", 5}, {"a", 5}, {"top", 9}, {"c", 2}};
  const Vocabulary all = build_vocabulary(counts, 2, 0);
  EXPECT_EQ(all.tags, (Strings{"top", "a", "b", "c"}));
  EXPECT_EQ(all.counts, (std::vector<int64_t>{9, 5, 5, 2}));
  EXPECT_EQ(build_vocabulary(counts, 1, 2).tags, (Strings{"top", "a"}));
  EXPECT_EQ(build_vocabulary(counts, 10, 0).size(), 0);
}

/// What pandas 3.1 read of that file (references/make_lists.py) with keep_default_na=False,
/// quoting=3 and dtype={"tag": str}; datasets/recipes_test.py asks the pandas there is.
TEST(Vocabulary, IsReadByPandasWithoutLoss) {
  const Json read = read_json(test_files() / "lists/tags.json");
  Vocabulary vocabulary;
  vocabulary.tags = read.get<Strings>();
  for (size_t i = 0; i < vocabulary.tags.size(); ++i) {
    vocabulary.counts.push_back(100 - static_cast<int64_t>(i));
  }
  const TemporaryFolder folder;
  save_vocabulary(folder / "tags.tsv", vocabulary);
  EXPECT_EQ(read_file(folder / "tags.tsv"), read_file(test_files() / "lists/tags.tsv"));
  for (const auto& tag : vocabulary.tags) EXPECT_EQ(clean_tag("x" + tag), "x" + tag);
}

/// 120,000 took 17 seconds.
TEST(Tags, ManyOfOneImageTakeNoTime) {
  Strings raw;
  for (int i = 0; i < 120'000; ++i) raw.push_back(std::to_string(i % 100'000));
  EXPECT_EQ(clean_tags(raw, {}).size(), 100'000U);
}

TEST(Vocabulary, ComesBackFromItsFile) {
  const TemporaryFolder folder;
  save_vocabulary(folder / "tags.tsv", {{"new york", "#1"}, {7, 3}});
  EXPECT_EQ(read_file(folder / "tags.tsv"), "id\ttag\tcount\n0\tnew york\t7\n1\t#1\t3\n");
  const Vocabulary vocabulary = load_vocabulary(folder / "tags.tsv");
  EXPECT_EQ(vocabulary.tags, (Strings{"new york", "#1"}));
  EXPECT_EQ(vocabulary.counts, (std::vector<int64_t>{7, 3}));
  write_file_atomic(folder / "tags.tsv", "id\ttag\tcount\n0\ta\t7\n2\tb\t3\n");
  expect_error([&] { load_vocabulary(folder / "tags.tsv"); }, {"line 3", "expected id 1"});
  write_file_atomic(folder / "tags.tsv", "id\ttag\tcount\n0\ta\tmany\n");
  expect_error([&] { load_vocabulary(folder / "tags.tsv"); }, {"line 2", "many"});
}

}  // namespace
}  // namespace hardmoe
