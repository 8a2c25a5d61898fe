// Folders as people have them: other extensions, links, splits beside one another, archives among
// images; what is not read is counted, or refused.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>
#include <set>

#include "data/dataset.h"
#include "expect_error.h"
#include "ingest/sources/folder_walk.h"
#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

class Layouts : public testing::Test {
 protected:
  /// A picture that no other one equals.
  void image(const fs::path& name) { put(name, encode_png(numbered_image(++number_, 4, 4))); }
  void put(const fs::path& name, const std::string& bytes) {
    fs::create_directories((in_ / name).parent_path());
    overwrite(in_ / name, bytes);
  }
  void tar(const fs::path& name, const std::string& tag) {
    fs::create_directories((in_ / name).parent_path());
    TarWriter writer(in_ / name);
    writer.add("a.png", encode_png(numbered_image(++number_, 4, 4)));
    writer.add("a.txt", tag);
    writer.finish();
  }

  IngestOptions options() const {
    IngestOptions options;
    options.sources = {in_.string()};
    options.out = folder_ / "out";
    return options;
  }
  Json ingest_all(const IngestOptions& options) {
    fs::remove_all(options.out);
    return ingest(options).counts;
  }
  Strings keys(const std::string& split) const {
    const Dataset data = Dataset::open(folder_ / "out");
    Strings keys;
    for (int64_t i = 0; i < data.split(split).size(); ++i) keys.push_back(data.split(split).key(i));
    return keys;
  }
  Strings tags() const { return Dataset::open(folder_ / "out").vocabulary().tags; }

  TemporaryFolder folder_;
  fs::path in_ = folder_ / "in";
  int number_ = 0;
};

TEST_F(Layouts, EveryFileIsAnImageListedOrCounted) {
  for (const char* name : {"cat/1.jpg", "cat/2.jfif", "cat/3", "cat/4.JPE", "dog/5.jpg_large"}) {
    image(name);
  }
  put("dog/6.heic", heic_head());
  put("dog/Thumbs.db", "x");
  put("dog/.DS_Store", "x");
  put("readme.txt", "about");
  put("notes.md", "about");
  put("list.csv", "image,tags\n");
  ASSERT_EQ(::mkfifo((in_ / "pipe.jpg").c_str(), 0600), 0);
  const Json counts = ingest_all(options());
  EXPECT_EQ(keys("train"), (Strings{"cat/1", "cat/2", "cat/3", "cat/4", "dog/5"}));
  EXPECT_EQ(counts.at("splits").at("train").at("rejected"), (Json{{"other format", 1}}));
  std::map<std::string, int64_t> passed;
  for (const auto& [kind, entry] : counts.at("passed_over").items()) passed[kind] = entry["count"];
  EXPECT_EQ(passed, (std::map<std::string, int64_t>{{"'.db' file", 1},
                                                    {"'.csv' file", 1},
                                                    {"'.md' file", 1},
                                                    {"'.txt' file without an image", 1},
                                                    {"hidden file", 1},
                                                    {"device, pipe or socket", 1}}));
  const std::string table = ingest_table(counts, folder_ / "out");
  EXPECT_NE(table.find("1 × '.md' file (notes.md)"), std::string::npos) << table;
}

TEST_F(Layouts, LinkedClassFoldersAreFollowedAndLoopsAreNot) {
  image("cat/1.png");
  image("elsewhere/2.png");
  fs::rename(in_ / "elsewhere", folder_ / "elsewhere");
  fs::create_directory_symlink(folder_ / "elsewhere", in_ / "bird");
  fs::create_directory_symlink("..", in_ / "cat/up");
  fs::create_directory_symlink(".", in_ / "cat/self");
  const Json counts = ingest_all(options());
  EXPECT_EQ(keys("train"), (Strings{"bird/2", "cat/1"}));
  EXPECT_EQ(tags(), (Strings{"bird", "cat"}));
  EXPECT_EQ(counts.at("passed_over").at("link back to a folder it is in").at("count"), 2);
}

TEST_F(Layouts, FoldersThatLinkToOneAnotherEnd) {
  for (char name = 'a'; name <= 'h'; ++name) image(std::string(1, name) + "/1.png");
  for (char name = 'a'; name <= 'h'; ++name) {
    for (char other = 'a'; other <= 'h'; ++other) {
      fs::create_directory_symlink(fs::path("..") / std::string(1, other),
                                   in_ / std::string(1, name) / std::string(1, other));
    }
  }
  EXPECT_LE(images_in(in_).size(), 8U * 16U);
}

TEST_F(Layouts, TrainAndValAreSplitsAndNoTags) {
  image("train/cat/1.png");
  image("Val/cat/2.png");
  image("test/cat/3.png");
  const Json counts = ingest_all(options());
  EXPECT_EQ(keys("train"), Strings{"cat/1"});
  EXPECT_EQ(keys("val"), Strings{"cat/2"});
  EXPECT_EQ(tags(), Strings{"cat"});
  EXPECT_EQ(
      counts.at("passed_over").at("image or tar in 'test', neither train nor val").at("count"), 1);
  // Named for evaluation, the same folder is its other part.
  auto both = options();
  both.val_sources = both.sources;
  ingest_all(both);
  EXPECT_EQ(keys("val"), Strings{"cat/2"});
}

TEST_F(Layouts, SplitsBelowARootAreRefused) {
  image("images/train/1.png");
  image("images/val/2.png");
  expect_error([&] { ingest_all(options()); }, {"images/train", "images/val", "--val-source"},
               ExitStatus::usage);
}

TEST_F(Layouts, ValBesideAnotherValSourceIsCounted) {
  image("sets/train/cat/1.png");
  image("sets/val/cat/2.png");
  image("more/cat/3.png");
  auto asked = options();
  asked.sources = {(in_ / "sets").string()};
  asked.val_sources = {(in_ / "more").string()};
  const Json counts = ingest_all(asked);
  EXPECT_EQ(keys("val"), Strings{"cat/3"});
  EXPECT_EQ(counts.at("passed_over").at("source of the split 'val'").at("count"), 1);
}

TEST_F(Layouts, SplitsAreKnownByWordsInTheirNames) {
  for (const auto& [train, val] : {std::pair{"train2017", "val2017"},
                                   {"training_set", "test_set"},
                                   {"seg_train", "seg_test"},
                                   {"training", "evaluation"},
                                   {"trainval", "test"}}) {
    image(fs::path(train) / "cat/1.png");
    image(fs::path(val) / "cat/2.png");
    ingest_all(options());
    EXPECT_EQ(keys("train"), Strings{"cat/1"}) << train;
    EXPECT_EQ(keys("val"), Strings{"cat/2"}) << val;
    EXPECT_EQ(tags(), Strings{"cat"}) << train;
    fs::remove_all(in_);
  }
  // Of several, it is not for us to choose.
  for (const char* name : {"train2014", "val2014", "train2017", "val2017"}) {
    image(fs::path(name) / "cat/1.png");
  }
  expect_error([&] { ingest_all(options()); }, {"train2014", "val2014", "--val-source"},
               ExitStatus::usage);
}

TEST_F(Layouts, LabelNamesAreThoseOfTextsBesideImages) {
  tar("a.tar", "1");
  overwrite(folder_ / "names", "cat\ndog\n");
  auto asked = options();
  asked.source.label_names = folder_ / "names";
  ingest_all(asked);
  EXPECT_EQ(tags(), Strings{"dog"});
}

TEST_F(Layouts, ValAloneIsNoTag) {
  image("val/cat/1.png");
  expect_error([&] { ingest_all(options()); }, {"holds val", "no split to train on"},
               ExitStatus::usage);
}

TEST_F(Layouts, ClassesMayHaveWordsOfSplits) {
  image("train station/1.png");
  image("test tube/2.png");
  ingest_all(options());
  EXPECT_EQ(tags(), (Strings{"test tube", "train station"}));
}

TEST_F(Layouts, AClassMayBeCalledTrain) {
  image("train/1.png");
  image("car/2.png");
  ingest_all(options());
  EXPECT_EQ(tags(), (Strings{"car", "train"}));
}

TEST_F(Layouts, TarsOfSeveralSplitsAreTold) {
  tar("tags-train-000.tar", "t0");
  tar("tags-train-001.tar", "t1");
  tar("tags-val-000.tar", "t0");
  ingest_all(options());
  EXPECT_EQ(keys("train"), (Strings{"tags-train-000/a", "tags-train-001/a"}));
  EXPECT_EQ(keys("val"), Strings{"tags-val-000/a"});
}

TEST_F(Layouts, TextsBesideImagesAreReadAlike) {
  for (const char* name : {"a.png", "b.png", "c.png"}) image(name);
  put("a.txt", "dog, beach");
  put("b.txt", "golden retriever, snow");
  put("c.txt", "golden retriever");  // has no comma, and is one tag as its neighbours use commas
  ingest_all(options());
  EXPECT_EQ(tags(), (Strings{"golden retriever", "beach", "dog", "snow"}));
}

TEST_F(Layouts, TarsInSubfoldersAreRead) {
  tar("one/000.tar", "t");
  tar("two/001.tar", "t");
  ingest_all(options());
  EXPECT_EQ(keys("train"), (Strings{"000/a", "001/a"}));
}

TEST_F(Layouts, LinkedFoldersOfTarsAreReadAndMissingShardsTold) {
  tar("one/000.tar", "t");
  tar("elsewhere/001.tar", "t");
  fs::rename(in_ / "elsewhere", folder_ / "elsewhere");
  fs::create_directory_symlink(folder_ / "elsewhere", in_ / "one/two");  // below the first level
  ingest_all(options());
  EXPECT_EQ(keys("train"), (Strings{"000/a", "001/a"}));
  fs::create_symlink("nowhere.tar", in_ / "one/002.tar");
  expect_error([&] { ingest_all(options()); }, {"002.tar", "link to nothing"}, ExitStatus::usage);
}

TEST_F(Layouts, ImagesBesideTarsAreAskedAbout) {
  tar("a.tar", "t");
  image("a/a.png");
  expect_error([&] { ingest_all(options()); },
               {"1 tars", "1 images", "webdataset:", "folder:", "a.tar", "a/a.png"},
               ExitStatus::usage);
  auto named = options();
  named.sources = {"webdataset:" + in_.string()};
  const Json counts = ingest_all(named);
  EXPECT_EQ(counts.at("passed_over").at("'.png' file").at("count"), 1);
}

TEST_F(Layouts, CompressedTarsBesidePlainOnesAreCounted) {
  tar("a.tar", "t");
  put("b.tar.gz", "\x1F\x8B");
  const Json counts = ingest_all(options());
  EXPECT_EQ(counts.at("passed_over").at("compressed tar").at("count"), 1);
  auto strict = options();
  strict.strict = true;
  expect_error([&] { ingest(strict); }, {"compressed tar"});  // also of what is done
  strict.out = folder_ / "strict";
  expect_error([&] { ingest(strict); }, {"compressed tar", "b.tar.gz", "--strict"});
}

TEST_F(Layouts, FoldersInOtherEncodingsAreListed) {
  image("caf\xE9/1.png");
  image("tea/2.png");
  auto some = options();
  some.max_bad = 1;
  const Json counts = ingest_all(some);
  EXPECT_EQ(counts.at("splits").at("train").at("rejected"), (Json{{"unreadable tags", 1}}));
  EXPECT_NE(read_file(folder_ / "out/rejected.jsonl").find("'caf_' is not UTF-8"),
            std::string::npos);
}

TEST_F(Layouts, PhotographsWithKeywordsAreNotTaggedByTheirFolders) {
  const std::string sidecar =
      R"(<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">)"
      R"(<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag>)"
      R"(<rdf:li>sea</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>)";
  image("holiday/1.png");
  image("holiday/2.png");
  put("holiday/1.xmp", sidecar);
  put("holiday/2.png.xmp", sidecar);
  ingest_all(options());
  EXPECT_EQ(tags(), Strings{"sea"});
  auto folders = options();
  folders.sources = {"folder:" + in_.string()};
  ingest_all(folders);
  EXPECT_EQ(tags(), Strings{"holiday"});
  // Most have none: the folders' names, and a word about it.
  for (const char* name : {"home/3.png", "home/4.png", "home/5.png"}) image(name);
  const std::string text = describe_sources(options());
  EXPECT_NE(text.find("home/3: 'home'"), std::string::npos) << text;
  EXPECT_NE(text.find("some photographs there hold keywords"), std::string::npos) << text;
}

TEST_F(Layouts, PythonsCifarIsRefusedWithTheVersionToTake) {
  put("batches.meta", "\x80\x02}q");
  put("data_batch_1", "\x80\x02}q");
  expect_error([&] { ingest_all(options()); }, {"pickles", "cifar-10-binary.tar.gz"},
               ExitStatus::usage);
  auto file = options();
  file.sources = {(in_ / "data_batch_1").string()};
  expect_error([&] { ingest_all(file); }, {"pickle", "binary version"}, ExitStatus::usage);
}

TEST_F(Layouts, DryRunTellsHowSourcesAreUnderstood) {
  image("cat/1.png");
  image("dog/2.png");
  put("notes.md", "about");
  auto dry = options();
  dry.out.clear();
  const std::string text = describe_sources(dry);
  for (const char* part : {"folder", "split 'train'", "2 items", "cat/1: 'cat'", "dog/2: 'dog'",
                           "'.md' file (notes.md)"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(Layouts, AGivenVocabularyStaysAsItIs) {
  put("a.jsonl", json_of("1.png", {"dog", "beach"}) + json_of("2.png", {"beach", "new"}) +
                     json_of("3.png", {"new"}));
  for (const char* name : {"1.png", "2.png", "3.png"}) image(name);
  put("old/tags.tsv", "id\ttag\tcount\n0\tdog\t9\n1\tsea\t5\n2\tbeach\t1\n");
  auto fixed = options();
  fixed.sources = {(in_ / "a.jsonl").string()};
  fixed.vocabulary = in_ / "old";
  const Json counts = ingest_all(fixed);
  const Vocabulary vocabulary = Dataset::open(fixed.out).vocabulary();
  EXPECT_EQ(vocabulary.tags, (Strings{"dog", "sea", "beach"}));
  EXPECT_EQ(vocabulary.counts, (std::vector<int64_t>{1, 0, 2}));
  EXPECT_EQ(keys("train"), (Strings{"1", "2"}));
  EXPECT_EQ(counts.at("dropped_tags"), 1);
  EXPECT_EQ(counts.at("dropped_tag_uses"), 2);
  EXPECT_EQ(counts.at("splits").at("train").at("rejected"), (Json{{"no kept tag", 1}}));
  const std::string table = ingest_table(counts, fixed.out);
  EXPECT_NE(table.find("3 tags as given, 2 of them here, first beach 2, dog 1\n"),
            std::string::npos);
  EXPECT_NE(table.find("moe-eval … --split train"), std::string::npos);
  fixed.min_tag_count = 2;
  expect_error([&] { ingest_all(fixed); }, {"ingest.vocabulary", "ingest.min_tag_count"},
               ExitStatus::usage);
  fixed.min_tag_count = 1;
  overwrite(in_ / "old/tags.tsv", "id\ttag\tcount\n0\tsky\t9\n");
  expect_error([&] { ingest_all(fixed); }, {"none of the 1 tags", "'beach'"}, ExitStatus::usage);
  // A model or dataset whose tags are not as they were recorded.
  overwrite(in_ / "old/stage.json", Json{{"command", "moe-ingest"},
                                         {"done", true},
                                         {"outputs", {{"tags.tsv", sha256_hex("other")}}}}
                                        .dump());
  expect_error([&] { ingest_all(fixed); }, {"tags.tsv"});
}

}  // namespace
}  // namespace hardmoe
