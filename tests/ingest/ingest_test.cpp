// From sources to datasets: what is kept, what is listed, and that runs repeat.
#include "ingest/ingest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <set>

#include "base/signals.h"
#include "base/text.h"
#include "base/threads.h"
#include "data/dataset.h"
#include "expect_error.h"
#include "image/augment.h"
#include "ingest/sources/source.h"
#include "outside.h"
#include "small_dataset.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

std::string numbered_png(int number) { return encode_png(numbered_image(number, 4, 4)); }

IngestOptions options_for(const fs::path& out, const Strings& sources) {
  IngestOptions options;
  options.sources = sources;
  options.out = out;
  return options;
}

Strings tag_names(const Dataset& data, std::span<const int32_t> ids) {
  Strings names;
  for (const int32_t id : ids) names.push_back(data.vocabulary().tags[static_cast<size_t>(id)]);
  return names;
}

int number_of(const Split& split, int64_t item) {
  return decode_image(split.image(item)).as<uint8_t>()[0];
}

std::vector<Json> rejected_in(const fs::path& folder) {
  std::vector<Json> lines;
  for (const auto& line : split(read_file(folder / "rejected.jsonl"), '\n')) {
    if (!line.empty()) lines.push_back(parse_json(line, "rejected.jsonl"));
  }
  return lines;
}

TEST(Ingest, ImagesWithoutATagStayWhereThatIsAskedFor) {
  const TemporaryFolder folder;
  for (int i = 0; i < 3; ++i) write_file_atomic(folder / fmt::format("{}.png", i), numbered_png(i));
  write_file_atomic(folder / "tags.jsonl", R"({"image": "0.png", "tags": ["b"]}
{"image": "1.png", "tags": ["unknown"]}
{"image": "2.png", "tags": []}
)");
  write_file_atomic(folder / "tags.tsv", "id\ttag\tcount\n0\ta\t5\n1\tb\t4\n");
  auto options = options_for(folder / "out", {(folder / "tags.jsonl").string()});
  options.keep_untagged = true;
  expect_error([&] { check_ingest_config(options); }, {"keep_untagged", "--vocabulary"},
               ExitStatus::usage);
  options.vocabulary = folder / "tags.tsv";
  const Json counts = ingest(options).counts;
  const Dataset data = Dataset::open(folder / "out");
  EXPECT_EQ(data.vocabulary().tags, (Strings{"a", "b"}));
  const Split& split = data.split("train");
  ASSERT_EQ(split.size(), 3);
  EXPECT_EQ(tag_names(data, split.tags(0)), (Strings{"b"}));
  EXPECT_TRUE(split.tags(1).empty());
  EXPECT_TRUE(split.tags(2).empty());

  // Also a folder of photographs, none of which has a tag; and it is another dataset than without.
  fs::create_directory(folder / "plain");
  for (int i = 0; i < 3; ++i) fs::copy(folder / fmt::format("{}.png", i), folder / "plain");
  options.sources = {(folder / "plain").string()};
  options.out = folder / "untagged";
  ingest(options);
  EXPECT_EQ(Dataset::open(folder / "untagged").split("train").size(), 3);
  options.keep_untagged = false;
  expect_error([&] { ingest(options); }, {"made from other inputs", "keep_untagged"},
               ExitStatus::usage);
  options.out = folder / "tagged";
  expect_error([&] { ingest(options); }, {"no item of", "no tags"}, ExitStatus::usage);
}

TEST(Ingest, IndexesTarsWhereTheyAre) {
  const TemporaryFolder folder;
  write_numbered_tar(folder / "a-000.tar", 6, 4, 4);
  write_numbered_tar(folder / "a-001.tar", 3, 4, 4);
  auto options = options_for(folder / "out", {folder.path().string()});
  options.duplicates = Duplicates::keep;  // the tars' images are the same
  const IngestResult result = ingest(options);
  EXPECT_FALSE(result.was_done);
  EXPECT_EQ(read_file(folder / "out/tags.tsv"),
            "id\ttag\tcount\n0\tall\t9\n1\teven\t5\n2\todd\t4\n");
  EXPECT_FALSE(fs::exists(folder / "out/shards"));

  const Dataset data = Dataset::open(folder / "out");
  const Split& train = data.split("train");
  ASSERT_EQ(train.size(), 9);
  for (int64_t item = 0; item < 9; ++item) {
    const int number = static_cast<int>(item < 6 ? item : item - 6);
    EXPECT_EQ(number_of(train, item), number);
    EXPECT_EQ(tag_names(data, train.tags(item)),
              (Strings{"all", number % 2 == 0 ? "even" : "odd"}));
    EXPECT_EQ(train.key(item), fmt::format("a-00{}/{:04}", item / 6, number));
  }
  EXPECT_FALSE(train.has_truth());
  EXPECT_NE(train.where(7).find("a-001.tar: a-001/0001"), std::string::npos);
  expect_error([&] { data.split("val"); }, {"'val'", "only train"}, ExitStatus::usage);
  const Json record = read_json(folder / "out/dataset.json");
  EXPECT_EQ(record["shards"][1]["sha256"], sha256_of_file(folder / "a-001.tar"));
  EXPECT_EQ(record["shards"][1]["path"], (folder / "a-001.tar").string());
}

TEST(Ingest, RunsAgainOnlyForOtherInputs) {
  const TemporaryFolder folder;
  write_numbered_tar(folder / "a.tar", 6, 4, 4);
  auto options = options_for(folder / "out", {(folder / "a.tar").string()});
  const Json first = ingest(options).counts;
  const IngestResult second = ingest(options);
  EXPECT_TRUE(second.was_done);
  EXPECT_EQ(second.counts, first);
  options.max_bad = 0.5;  // decides nothing about a finished result
  EXPECT_TRUE(ingest(options).was_done);
  options.min_tag_count = 4;
  expect_error([&] { ingest(options); }, {"min_tag_count: was 1, is 4", "--force"},
               ExitStatus::usage);
  options.force = true;
  EXPECT_FALSE(ingest(options).was_done);
  EXPECT_EQ(Dataset::open(folder / "out").vocabulary().tags, (Strings{"all"}));
  options.force = false;
  write_numbered_tar(folder / "a.tar", 26, 4, 4);
  expect_error([&] { ingest(options); }, {"sources"}, ExitStatus::usage);
  expect_error([&] { Dataset::open(folder / "out"); }, {"a.tar", "make the dataset again"});
}

TEST(Ingest, TarsMayBeIncomplete) {
  const TemporaryFolder folder;
  TarWriter tar(folder / "t.tar");
  tar.add("text.png", numbered_png(1));
  tar.add("text.txt", "#One, two words\n");
  tar.add("string.json", R"({"tags": "one three"})");
  tar.add("string.PNG", numbered_png(2));  // metadata first, extension in capitals
  tar.add("lonely.json", R"({"tags": ["one"]})");
  tar.add("bare.png", numbered_png(3));
  tar.add("broken.png", "not a picture");
  tar.add("broken.json", R"({"tags": ["one"]})");
  tar.add("syntax.png", numbered_png(4));
  tar.add("syntax.json", "{tags");
  tar.add("shape.png", numbered_png(5));
  tar.add("shape.json", R"({"tags": {"one": 1}})");
  tar.add("text.png", numbered_png(6));
  tar.add("mask.seg.png", numbered_png(7));  // another modality, as WebDataset names it
  tar.add("dir/.hidden.png", numbered_png(8));
  tar.add("blank.png", numbered_png(9));
  tar.add("blank.json", R"({"tags": ["#", " "]})");
  tar.finish();
  auto options = options_for(folder / "out", {(folder / "t.tar").string()});
  options.max_bad = 1;
  ingest(options);
  const Dataset data = Dataset::open(folder / "out");
  const Split& train = data.split("train");
  ASSERT_EQ(train.size(), 2);
  EXPECT_EQ(tag_names(data, train.tags(0)), (Strings{"one", "two words"}));
  EXPECT_EQ(number_of(train, 1), 2);
  EXPECT_EQ(tag_names(data, train.tags(1)), (Strings{"one", "three"}));

  std::multiset<std::string> reasons;
  for (const auto& line : rejected_in(folder / "out")) {
    reasons.insert(
        fmt::format("{}: {}", line["key"].get<std::string>(), line["reason"].get<std::string>()));
  }
  EXPECT_EQ(reasons, (std::multiset<std::string>{
                         "t/lonely: no image", "t/bare: no tags", "t/broken: unreadable image",
                         "t/syntax: unreadable tags", "t/shape: unreadable tags",
                         "t/text: repeated", "t/blank: no tags", "t/mask_seg: no tags"}));
}

TEST(Ingest, ListsOfImagesBecomeShards) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "pictures");
  for (int i = 0; i < 4; ++i) {
    write_file_atomic(folder / fmt::format("pictures/p.{}.png", i), numbered_png(i));
  }
  const fs::path webp = test_files() / "images/lossless.webp";
  write_file_atomic(
      folder / "list.jsonl",
      fmt::format(
          "{}\n\n{}\n{}\n{}\n{}\n", R"({"image": "pictures/p.0.png", "tags": ["A", "b"]})",
          R"({"image": "pictures/p.1.png", "tags": "a c", "key": "../my key\u0001"})",
          R"({"image": "pictures/p.1.png", "tags": ["a"], "key": "my key\u0001"})",
          R"({"image": "pictures/none.png", "tags": ["a"]})",
          Json{{"image", webp.string()}, {"tags", {"b"}}, {"truth", {"c", "unknown"}}}.dump()));
  auto options = options_for(folder / "out", {(folder / "list.jsonl").string()});
  options.duplicates = Duplicates::keep;  // the tars' images are the same
  expect_error([&] { ingest(options); }, {"items cannot be used", "pictures/none",
                                          "list.jsonl, line 5", "--max-bad", "rejected.jsonl"});
  options.max_bad = 0.3;  // the failed run is taken up again
  ingest(options);
  const Dataset data = Dataset::open(folder / "out");
  const Split& train = data.split("train");
  ASSERT_EQ(train.size(), 4);
  EXPECT_EQ(train.key(0), "pictures/p_0");
  EXPECT_EQ(train.key(1), "my key_");
  EXPECT_EQ(train.key(2), "my key_-2");
  EXPECT_EQ(number_of(train, 1), 1);
  ASSERT_TRUE(train.has_truth());
  EXPECT_TRUE(train.truth(0).empty());
  EXPECT_EQ(tag_names(data, train.truth(3)), (Strings{"c"}));
  const std::string original = read_file(webp);
  const auto stored = train.image(3);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(stored.data()), stored.size()), original);
}

TEST(Ingest, ShardsStandAlone) {
  const auto [python, missing] = python_with("tarfile");
  if (!missing.empty()) GTEST_SKIP() << missing;
  const TemporaryFolder folder;
  write_numbered_tar(folder / "a.tar", 30, 4, 4);
  auto options = options_for(folder / "out", {(folder / "a.tar").string()});
  options.storage = ShardStorage::copy;
  options.shard_bytes = 20000;
  ingest(options);
  // As a user of WebDataset would: group members by key, read both, count.
  const std::string script =
      "import glob, json, sys, tarfile\n"
      "found = {}\n"
      "for path in sorted(glob.glob(sys.argv[1] + '/shards/train-*.tar')):\n"
      "    for m in (t := tarfile.open(path)):\n"
      "        key, kind = m.name.split('.')\n"
      "        found.setdefault(key, {})[kind] = t.extractfile(m).read()\n"
      "assert len(glob.glob(sys.argv[1] + '/shards/*.tar')) >= 3\n"
      "assert sorted(found) == ['a/%04d' % i for i in range(30)], sorted(found)\n"
      "for i, (key, value) in enumerate(sorted(found.items())):\n"
      "    assert value['png'][:8] == b'\\x89PNG\\r\\n\\x1a\\n'\n"
      "    assert json.loads(value['json']) == {'tags': ['all', ['even', 'odd'][i % 2]]}\n";
  write_file_atomic(folder / "read.py", script);
  EXPECT_EQ(std::system(fmt::format("{} '{}' '{}'", python.string(), (folder / "read.py").string(),
                                    (folder / "out").string())
                            .c_str()),
            0);
  // And by ourselves: the shards as sources give the same images with the same tags.
  auto again = options_for(folder / "again", {(folder / "out/shards").string()});
  ingest(again);
  const Dataset first = Dataset::open(folder / "out");
  const Dataset second = Dataset::open(folder / "again");
  ASSERT_EQ(second.split("train").size(), 30);
  for (int64_t item = 0; item < 30; ++item) {
    EXPECT_EQ(number_of(second.split("train"), item), number_of(first.split("train"), item));
    EXPECT_TRUE(
        std::ranges::equal(second.split("train").tags(item), first.split("train").tags(item)));
  }
}

TEST(Ingest, FoldersAreTags) {
  const TemporaryFolder folder;
  for (const char* name : {"in/animal/bird/x.png", "in/animal/y.png", "in/Sky/x.png", "in/top.png",
                           "in/.trash/z.png", "in/animal/notes.txt"}) {
    fs::create_directories((folder / name).parent_path());
    write_file_atomic(folder / name, numbered_png(1));
  }
  fs::create_symlink(folder / "in/gone.png", folder / "in/animal/dangling.png");
  auto options = options_for(folder / "out", {(folder / "in").string()});
  options.duplicates = Duplicates::keep;
  options.max_bad = 1;
  ingest(options);
  const Dataset data = Dataset::open(folder / "out");
  const Split& train = data.split("train");
  EXPECT_EQ(data.vocabulary().tags, (Strings{"animal", "bird", "sky"}));
  ASSERT_EQ(train.size(), 3);
  EXPECT_EQ(train.key(0), "Sky/x");
  EXPECT_EQ(tag_names(data, train.tags(1)), (Strings{"animal", "bird"}));
  // In the order of their paths: in/animal/dangling.png, in/top.png.
  EXPECT_EQ(rejected_in(folder / "out").at(0)["reason"], "unreadable image");
  EXPECT_EQ(rejected_in(folder / "out").at(1)["reason"], "no tags");
}

TEST(Ingest, ResizesTheShortSide) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "in/a");
  write_file_atomic(folder / "in/a/wide.png", encode_png(numbered_image(5, 40, 80)));
  write_file_atomic(folder / "in/a/small.png", encode_png(numbered_image(6, 8, 30)));
  write_file_atomic(folder / "in/a/photo.jpg", encode_jpeg(numbered_image(7, 60, 30), 90));
  auto options = options_for(folder / "out", {(folder / "in").string()});
  options.resize = 10;
  ingest(options);
  const Dataset data = Dataset::open(folder / "out");
  const Split& train = data.split("train");
  const auto shape = [&](int64_t item) { return decode_image(train.image(item)).shape(); };
  EXPECT_EQ(shape(0), (Shape{20, 10, 3}));  // photo: 60×30
  EXPECT_EQ(shape(1), (Shape{8, 30, 3}));   // small, untouched
  EXPECT_EQ(shape(2), (Shape{10, 20, 3}));
  EXPECT_EQ(image_format(train.image(0)), ImageFormat::jpeg);
  EXPECT_EQ(image_format(train.image(2)), ImageFormat::png);
  EXPECT_EQ(number_of(train, 2), 5);
}

TEST(Ingest, DoesNotDependOnThreads) {
  const TemporaryFolder folder;
  write_numbered_tar(folder / "a.tar", 300, 12, 12);
  const int before = compute_threads();
  std::set<std::string> results;
  for (const int threads : {1, 2, 4}) {
    set_compute_threads(threads);
    auto options =
        options_for(folder / fmt::format("out{}", threads), {(folder / "a.tar").string()});
    options.resize = 8;
    options.val_fraction = 0.2;
    ingest(options);
    results.insert(Dataset::open(options.out).fingerprint());
  }
  set_compute_threads(before);
  EXPECT_EQ(results.size(), 1U);
}

TEST(Ingest, ValFractionDependsOnKeyAndSeed) {
  const TemporaryFolder folder;
  write_numbered_tar(folder / "a.tar", 200, 2, 2);
  write_numbered_tar(folder / "b.tar", 50, 2, 2);
  const auto val_keys = [&](const std::string& out, const Strings& sources, uint64_t seed) {
    auto options = options_for(folder / out, sources);
    options.val_fraction = 0.25;
    options.duplicates = Duplicates::keep;
    options.seed = seed;
    ingest(options);
    const Dataset data = Dataset::open(options.out);
    std::set<std::string> keys;
    for (int64_t i = 0; i < data.split("val").size(); ++i) {
      const auto key = data.split("val").key(i);
      if (key.starts_with("a/")) keys.insert(key);
    }
    return keys;
  };
  const std::string a = (folder / "a.tar").string();
  const std::string b = (folder / "b.tar").string();
  const auto keys = val_keys("1", {a}, 1);
  EXPECT_NEAR(static_cast<double>(keys.size()), 50, 4 * 6.1);  // four standard deviations
  EXPECT_EQ(val_keys("2", {b, a}, 1), keys);
  EXPECT_NE(val_keys("3", {a}, 2), keys);
}

/// The keys of a split's images.
std::set<std::string> keys_of(const fs::path& dataset, const std::string& split) {
  const Dataset data = Dataset::open(dataset);
  std::set<std::string> keys;
  if (!data.has_split(split)) return keys;
  for (int64_t i = 0; i < data.split(split).size(); ++i) keys.insert(data.split(split).key(i));
  return keys;
}

bool is_within(const std::set<std::string>& part, const std::set<std::string>& whole) {
  return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
}

TEST(Ingest, TheSelectionSplitIsCutFromTrainingAlone) {
  const TemporaryFolder folder;
  write_numbered_tar(folder / "a.tar", 250, 2, 2);
  auto options = options_for(folder / "plain", {(folder / "a.tar").string()});
  options.val_fraction = 0.2;
  options.duplicates = Duplicates::keep;
  ingest(options);
  options.out = folder / "cut";
  options.selection_fraction = 0.25;
  const Json counts = ingest(options).counts;
  const auto train = keys_of(folder / "cut", "train"),
             chosen = keys_of(folder / "cut", "selection");
  EXPECT_EQ(keys_of(folder / "cut", "val"), keys_of(folder / "plain", "val"));
  EXPECT_NEAR(static_cast<double>(chosen.size()), 50, 4 * 6.1);  // four standard deviations
  std::set<std::string> both = train;
  both.insert(chosen.begin(), chosen.end());
  EXPECT_EQ(both, keys_of(folder / "plain", "train"));
  EXPECT_EQ(both.size(), train.size() + chosen.size());
  EXPECT_EQ(Dataset::open(options.out).vocabulary().counts[0], std::ssize(train))
      << "the vocabulary is of the images that are trained on";
  EXPECT_EQ(counts["splits"]["selection"]["images"], chosen.size());
  EXPECT_NE(ingest_table(counts, options.out).find("selection"), std::string::npos);

  options.out = folder / "other";
  options.seed = 2;
  ingest(options);
  EXPECT_NE(keys_of(folder / "other", "selection"), chosen);
  options.selection_fraction = 1;
  expect_error([&] { ingest(options); }, {"ingest.selection_fraction", "less than 1"},
               ExitStatus::usage);
}

TEST(Ingest, TheSelectionSplitKeepsGroundTruth) {
  const TemporaryFolder folder;
  TarWriter tar(folder / "t.tar");
  for (int i = 0; i < 40; ++i) {
    tar.add(fmt::format("{}.png", i), numbered_png(i));
    tar.add(fmt::format("{}.json", i),
            i % 4 == 3 ? R"({"tags": [], "truth": ["b"]})" : R"({"tags": ["a"], "truth": ["a"]})");
  }
  tar.finish();
  auto options = options_for(folder / "out", {(folder / "t.tar").string()});
  options.selection_fraction = 0.5;
  options.duplicates = Duplicates::keep;
  const Json counts = ingest(options).counts;
  const Dataset data = Dataset::open(options.out);
  const Split& chosen = data.split("selection");
  ASSERT_TRUE(chosen.has_truth());
  for (int64_t i = 0; i < chosen.size(); ++i) {
    EXPECT_EQ(tag_names(data, chosen.tags(i)), (Strings{"a"}));
    EXPECT_EQ(tag_names(data, chosen.truth(i)), (Strings{"a"}));
  }
  EXPECT_GT(counts["splits"]["selection"]["rejected"]["no tags"], 0) << "as in training";
}

TEST(Ingest, ASmallerSampleIsPartOfALargerOne) {
  const TemporaryFolder folder;
  write_numbered_tar(folder / "a.tar", 250, 2, 2);
  write_numbered_tar(folder / "b.tar", 5, 2, 2);
  const auto made = [&](double share) {
    auto options = options_for(folder / fmt::format("{}", share), {(folder / "a.tar").string()});
    options.val_fraction = 0.2;
    options.selection_fraction = 0.2;
    options.sample = share;
    options.duplicates = Duplicates::keep;
    const Json counts = ingest(options).counts;
    const Json& train = counts["splits"]["train"];
    const int64_t out = train["rejected"].value("left out by --sample", int64_t{0});
    EXPECT_EQ(train["images"].get<int64_t>() + out, train["read"].get<int64_t>());
    EXPECT_TRUE(rejected_in(options.out).empty()) << "what was not asked for is no fault";
    return options.out;
  };
  const auto all = made(1), half = made(0.5), quarter = made(0.25);
  for (const char* split : {"train", "selection"}) {
    EXPECT_TRUE(is_within(keys_of(quarter, split), keys_of(half, split)));
    EXPECT_TRUE(is_within(keys_of(half, split), keys_of(all, split)));
    const auto of_all = static_cast<double>(keys_of(all, split).size());
    EXPECT_NEAR(static_cast<double>(keys_of(quarter, split).size()), of_all / 4,
                4 * std::sqrt(of_all * 3 / 16));
  }
  EXPECT_EQ(keys_of(quarter, "val"), keys_of(all, "val"));
  EXPECT_EQ(read_json(quarter / "dataset.json")["status"].back(), "left out by --sample");
  const std::string table = ingest_table(read_json(quarter / "stage.json")["results"], quarter);
  EXPECT_NE(table.find("\n  left out by --sample"), std::string::npos) << table;
  EXPECT_EQ(table.find("rejected items"), std::string::npos) << table;
}

TEST(Ingest, UnusedSharesLeaveNoTrace) {  // a dataset's identity is that of an earlier version
  const TemporaryFolder folder;
  write_numbered_tar(folder / "a.tar", 6, 4, 4);
  ingest(options_for(folder / "out", {(folder / "a.tar").string()}));
  const Json record = read_json(folder / "out/dataset.json");
  EXPECT_EQ(record["status"].size(), 15U);
  for (const char* key : {"sample", "selection_fraction"}) {
    EXPECT_FALSE(record["options"].contains(key));
    EXPECT_FALSE(read_json(folder / "out/stage.json")["inputs"].contains(key));
  }
  EXPECT_FALSE(fs::exists(folder / "out/selection"));
}

TEST(Ingest, ValidationKeepsWhatTruthCanJudge) {
  const TemporaryFolder folder;
  const auto tar_of = [&](const std::string& name, const Strings& metadata) {
    TarWriter tar(folder / name);
    for (size_t i = 0; i < metadata.size(); ++i) {
      tar.add(fmt::format("{}.png", i), numbered_png(static_cast<int>(i)));
      tar.add(fmt::format("{}.json", i), metadata[i]);
    }
    tar.finish();
  };
  tar_of("t.tar", {R"({"tags": ["a"]})", R"({"tags": ["a", "b"]})", R"({"tags": ["rare"]})",
                   R"({"tags": [], "truth": ["a"]})"});
  tar_of("v.tar",
         {R"({"tags": ["zzz"], "truth": ["a", "zzz"]})", R"({"tags": ["b"]})",
          R"({"tags": ["rare"], "truth": ["zzz"]})", R"({"tags": ["a"], "truth": ["b"]})"});
  auto options = options_for(folder / "out", {(folder / "t.tar").string()});
  options.val_sources = {(folder / "v.tar").string()};
  options.duplicates = Duplicates::keep;
  options.max_tags = 2;
  const Json counts = ingest(options).counts;
  const Dataset data = Dataset::open(folder / "out");
  EXPECT_EQ(data.vocabulary().tags, (Strings{"a", "b"}));
  EXPECT_EQ(data.vocabulary().counts, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(data.split("train").size(), 2);
  const Split& val = data.split("val");
  ASSERT_EQ(val.size(), 3);
  EXPECT_TRUE(val.tags(0).empty());
  EXPECT_EQ(tag_names(data, val.truth(0)), (Strings{"a"}));
  EXPECT_TRUE(val.truth(1).empty());
  EXPECT_EQ(tag_names(data, val.truth(2)), (Strings{"b"}));
  EXPECT_EQ(counts["splits"]["train"]["rejected"]["no tags"], 1);
  EXPECT_EQ(counts["splits"]["train"]["rejected"]["no kept tag"], 1);
  EXPECT_EQ(counts["splits"]["val"]["rejected"]["no kept tag"], 1);
  const std::string table = ingest_table(counts, options.out);
  EXPECT_NE(table.find("rejected: no kept tag      1    1"), std::string::npos) << table;
  EXPECT_NE(table.find("vocabulary: 2 of 3 tags, first a 2, b 1"), std::string::npos) << table;
}

TEST(Ingest, WrongOptionsAreUsageErrors) {
  const TemporaryFolder folder;
  write_numbered_tar(folder / "a.tar", 2, 2, 2);
  write_file_atomic(folder / "a.tar.gz", "x");
  const std::string a = (folder / "a.tar").string();
  const auto refuse = [&](auto change, const Strings& words) {
    auto options = options_for(folder / "out", {a});
    change(options);
    expect_error([&] { ingest(options); }, words, ExitStatus::usage);
  };
  refuse([&](auto& o) { o.sources = {(folder / "none").string()}; }, {"none", "no such file"});
  refuse([&](auto& o) { o.sources = {(folder / "a.tar.gz").string()}; },
         {"a.tar.gz", "compressed"});
  refuse([&](auto& o) { o.val_fraction = 1; }, {"ingest.val_fraction", "found 1"});
  refuse([&](auto& o) { o.val_fraction = 0.5, o.val_sources = {a}; }, {"ingest.val_sources"});
  refuse([&](auto& o) { o.min_tag_count = 0; }, {"ingest.min_tag_count"});
  refuse([&](auto& o) { o.sources = {"-", "-"}; }, {"standard input"});
  auto options = options_for(folder / "out", {a});
  options.min_tag_count = 3;
  expect_error([&] { ingest(options); }, {"no tag is on 3", "--min-tag-count"}, ExitStatus::usage);
  write_file_atomic(folder / "cut.tar", read_file(folder / "a.tar").substr(0, 3000));
  options = options_for(folder / "out2", {(folder / "cut.tar").string()});
  expect_error([&] { ingest(options); }, {"cut.tar", "at byte"});
}

TEST(IngestDeathTest, StopsOnSigtermAndRunsAgain) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const TemporaryFolder folder;
  const auto interrupted_run = [&] {
    write_numbered_tar(folder / "a.tar", 20, 4, 4);
    auto options = options_for(folder / "out", {(folder / "a.tar").string()});
    options.storage = ShardStorage::copy;
    install_signal_handlers();
    std::raise(SIGTERM);
    try {
      ingest(options);
    } catch (const Error& error) {
      std::_Exit(static_cast<int>(error.status()));
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(interrupted_run(), testing::ExitedWithCode(75), "");
}

TEST(Ingest, TakesUpWhatAnInterruptedRunLeft) {
  const TemporaryFolder folder;
  write_numbered_tar(folder / "a.tar", 20, 4, 4);
  auto options = options_for(folder / "out", {(folder / "a.tar").string()});
  options.storage = ShardStorage::copy;
  ingest(options);
  const std::string whole = read_file(folder / "out/dataset.json");
  // As if stopped before the end: the stage unfinished, shards of another length, stray files.
  Json record = read_json(folder / "out/stage.json");
  record["done"] = false;
  write_json(folder / "out/stage.json", record);
  fs::remove(folder / "out/dataset.json");
  write_file_atomic(folder / "out/shards/train-000009.tar", "half");
  EXPECT_FALSE(ingest(options).was_done);
  EXPECT_EQ(read_file(folder / "out/dataset.json"), whole);
  EXPECT_FALSE(fs::exists(folder / "out/shards/train-000009.tar"));
}

TEST(Source, KeysAreSafe) {
  EXPECT_EQ(safe_key("a/b.c/d.e"), "a/b.c/d_e");
  EXPECT_EQ(safe_key("/../../etc/passwd"), "etc/passwd");
  EXPECT_EQ(safe_key("line\nbreak\xff"), "line_break_");
  EXPECT_EQ(safe_key("\xed\xa0\x80\xc0\xaf"), "_____");  // a surrogate, an overlong form
  EXPECT_EQ(safe_key("caf\u00e9/\U0001f600"), "caf\u00e9/\U0001f600");
  EXPECT_EQ(safe_key("./"), "image");
}

TEST(Ingest, TinytagsShardHasItsKnownCounts) {
  const auto [tar, missing] = outside("HARDMOE_TINYTAGS", "tinytags-train-000.tar");
  if (!missing.empty()) GTEST_SKIP() << missing;
  const TemporaryFolder folder;
  auto options = options_for(folder / "out", {tar.string()});
  options.min_tag_count = 60;
  ingest(options);
  const Dataset data = Dataset::open(folder / "out");
  // Counted with Python's tarfile, json and collections.Counter.
  EXPECT_EQ(data.split("train").size(), 9822);
  EXPECT_EQ(data.vocabulary().size(), 179);
  EXPECT_EQ(data.vocabulary().tags[0], "artifact");
  EXPECT_EQ(data.vocabulary().counts[0], 2443);
  EXPECT_EQ(data.vocabulary().counts[2], 1270);
}

}  // namespace
}  // namespace hardmoe
