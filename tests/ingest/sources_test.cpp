// Every kind of source against what the program that made it knows (references/make_sources.py),
// and Debian's Fashion-MNIST and WordNet where they are installed.
#include "ingest/sources/source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include "base/text.h"
#include "data/dataset.h"
#include "data/record_file.h"
#include "expect_error.h"
#include "image/augment.h"
#include "ingest/ingest.h"
#include "ingest/wordnet.h"
#include "outside.h"
#include "small_dataset.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

const fs::path files = test_files() / "sources";

Json expected(const std::string& name) { return read_json(files / "expected.json").at(name); }

IngestOptions options_for(const fs::path& out, const Strings& sources) {
  IngestOptions options;
  options.sources = sources;
  options.out = out;
  return options;
}

uint32_t weighted_sum(const Tensor& image) {
  uint32_t sum = 0;
  uint32_t weight = 0;
  for (const uint8_t pixel : image.as<uint8_t>()) sum += pixel * ++weight;
  return sum;
}

using Tags = std::set<std::string>;

/// What a split holds: tags by key.
std::map<std::string, Tags> tags_by_key(const Dataset& data, const std::string& split = "train") {
  std::map<std::string, Tags> found;
  const Split& images = data.split(split);
  for (int64_t i = 0; i < images.size(); ++i) {
    Tags& tags = found[images.key(i)];
    for (const int32_t id : images.tags(i)) {
      tags.insert(data.vocabulary().tags[static_cast<size_t>(id)]);
    }
    EXPECT_NO_THROW(decode_image(images.image(i)));
  }
  return found;
}

std::map<std::string, Tags> expected_tags(const Json& items, const char* field = "tags") {
  std::map<std::string, Tags> tags;
  for (const Json& item : items) {
    for (const Json& tag : item.at(field)) tags[item.at("key")].insert(tag.get<std::string>());
  }
  return tags;
}

/// Ingests and compares with expected.json's items of that name, pixels included where it has them.
void expect_ingested(const IngestOptions& options, const Json& items) {
  ingest(options);
  const Dataset data = Dataset::open(options.out);
  EXPECT_EQ(tags_by_key(data), expected_tags(items));
  std::map<std::string, uint32_t> sums;
  for (const Json& item : items) {
    if (item.contains("sum")) sums[item.at("key")] = item.at("sum");
  }
  const Split& train = data.split("train");
  for (int64_t i = 0; i < train.size() && !sums.empty(); ++i) {
    EXPECT_EQ(weighted_sum(decode_image(train.image(i))), sums.at(train.key(i))) << train.key(i);
  }
  EXPECT_FALSE(fs::exists(options.out / "work")) << "what was unpacked is no longer needed";
}

TEST(Sources, CifarsBinaryVersionIsRead) {
  const TemporaryFolder folder;
  Json ten = expected("cifar-10-batches-bin/data_batch_1.bin");
  for (const Json& item : expected("cifar-10-batches-bin/data_batch_2.bin")) ten.push_back(item);
  // A folder is its training files, or as a validation source its test file.
  auto options = options_for(folder / "ten", {(files / "cifar-10-batches-bin").string()});
  options.val_sources = options.sources;
  expect_ingested(options, ten);
  EXPECT_EQ(Dataset::open(folder / "ten").split("val").key(1), "test_batch/00001");
  expect_ingested(
      options_for(folder / "hundred", {(files / "cifar-100-binary/train.bin").string()}),
      expected("cifar-100-binary/train.bin"));

  fs::copy(files / "cifar-10-batches-bin", folder / "bad");
  std::string bytes = read_file(folder / "bad/data_batch_1.bin");
  overwrite(folder / "bad/data_batch_1.bin", bytes.substr(1));
  expect_error([&] { ingest(options_for(folder / "out", {(folder / "bad").string()})); },
               {"data_batch_1.bin", "9218 bytes", "3073", "CIFAR-10"});
  bytes[3073] = 10;  // the second image's label
  overwrite(folder / "bad/data_batch_1.bin", bytes);
  expect_error([&] { ingest(options_for(folder / "label", {(folder / "bad").string()})); },
               {"data_batch_1/00001", "label 10 of 10"});
}

TEST(Sources, IdxFilesAreReadPackedOrNot) {
  const TemporaryFolder folder;
  expect_ingested(options_for(folder / "out", {(files / "idx").string()}), expected("idx"));
  overwrite(folder / "names.txt", "zero\none\ntwo\nthree\n4\n5\n6\n7\n8\nnine\n");
  auto options =
      options_for(folder / "named", {(files / "idx/train-images-idx3-ubyte.gz").string()});
  options.source.label_names = folder / "names.txt";
  ingest(options);
  EXPECT_EQ(tags_by_key(Dataset::open(folder / "named")).at("train/00002"), Tags{"nine"});
  fs::copy(files / "idx", folder / "bad");
  const std::string packed = read_file(folder / "bad/train-images-idx3-ubyte.gz");
  overwrite(folder / "bad/train-images-idx3-ubyte.gz", packed.substr(0, packed.size() - 20));
  expect_error([&] { ingest(options_for(folder / "o", {(folder / "bad").string()})); },
               {"train-images-idx3-ubyte.gz", "gzip", "truncated"});
  fs::remove(folder / "bad/train-labels-idx1-ubyte");
  expect_error([&] { ingest(options_for(folder / "p", {(folder / "bad").string()})); },
               {"no labels beside it"}, ExitStatus::usage);
}

TEST(Sources, FashionMnistIsReadAsDebianInstallsIt) {
  const auto [archive, missing] = outside("HARDMOE_FASHION_MNIST", "t10k-images-idx3-ubyte.gz",
                                          "/usr/share/datasets/fashion-mnist");
  const fs::path labels = test_files() / "../../datasets/fashion-mnist/labels.txt";
  if (!missing.empty()) GTEST_SKIP() << missing << "; Debian's dataset-fashion-mnist has it";
  if (!fs::exists(labels)) GTEST_SKIP() << "the recipes are not here";
  const TemporaryFolder folder;
  auto options = options_for(folder / "out", {archive.string()});
  options.source.label_names = labels;
  ingest(options);
  const Dataset data = Dataset::open(folder / "out");
  const Split& images = data.split("train");
  // By zcat, od and sort: 1,000 images a class; label 9 (Ankle boot) first, then 2, 1, 1, 6.
  ASSERT_EQ(images.size(), 10000);
  EXPECT_EQ(data.vocabulary().size(), 10);
  EXPECT_EQ(data.vocabulary().counts, std::vector<int64_t>(10, 1000));
  const auto tag = [&](int64_t i) {
    return data.vocabulary().tags[static_cast<size_t>(images.tags(i)[0])];
  };
  EXPECT_EQ((Strings{tag(0), tag(1), tag(2), tag(3), tag(4)}),
            (Strings{"ankle boot", "pullover", "trouser", "trouser", "shirt"}));
  // zcat t10k-images-idx3-ubyte.gz | tail -c +17 | head -c 784 | od -An -tu1 -v, summed.
  uint64_t sum = 0;
  const Tensor boot = decode_image(images.image(0));
  for (const uint8_t pixel : boot.as<uint8_t>()) sum += pixel;
  EXPECT_EQ(sum, 3U * 33456);
}

TEST(Sources, Yfcc100mJoinsMetadataWithPhotos) {
  const TemporaryFolder folder;
  const Json items = expected("yfcc100m");
  auto options = options_for(folder / "25", {(files / "yfcc100m/yfcc100m_dataset.bz2").string()});
  options.source.images = {files / "yfcc100m/images"};
  ingest(options);
  const auto tags = tags_by_key(Dataset::open(folder / "25"));
  EXPECT_EQ(tags, expected_tags(items));
  // Of the photos there are, one has no tags; the video and the photo that is not there are passed
  // over, not rejected.
  const std::string rejected = read_file(folder / "25/rejected.jsonl");
  EXPECT_EQ(std::count(rejected.begin(), rejected.end(), '\n'), 1) << rejected;
  EXPECT_NE(rejected.find("3340519471"), std::string::npos);

  // Photos in a tar are indexed there; the edition without hashes does not know the one named so.
  options.sources = {(files / "yfcc100m/yfcc100m_dataset-0.txt").string()};
  options.source.images = {files / "yfcc100m/photos.tar"};
  options.out = folder / "23";
  ingest(options);
  EXPECT_EQ(tags_by_key(Dataset::open(folder / "23")),
            (std::map<std::string, Tags>{{"3801198282", tags.at("3801198282")}}));
  EXPECT_FALSE(fs::exists(folder / "23/shards"));

  options.source.images = {};
  options.out = folder / "none";
  expect_error([&] { ingest(options); }, {"--images"}, ExitStatus::usage);
  options.source.images = {folder / "empty"};
  fs::create_directories(folder / "empty");
  options.out = folder / "nothing";
  expect_error([&] { ingest(options); }, {"no photo there"}, ExitStatus::usage);
}

/// Flickr took tags in any encoding: "caf%E9" is Latin-1.
TEST(Sources, Yfcc100mListsWhatIsNotUtf8AndCountsWhatItPassesOver) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "photos");
  std::string text;
  const auto add = [&](const std::string& id, const std::string& tags, bool video = false) {
    text += join({id,
                  "48600072071@N01",
                  "x",
                  "",
                  "",
                  "",
                  "t",
                  "d",
                  tags,
                  "",
                  "",
                  "",
                  "",
                  "",
                  "",
                  "",
                  "",
                  "",
                  "",
                  "",
                  "",
                  "jpg",
                  video ? "1" : "0"},
                 "\t") +
            '\n';
  };
  add("1", "caf%C3%A9");
  add("2", "dog,caf%E9");
  add("3", "not+here");
  add("4", "film", true);
  text += "4\tdamaged\n";
  overwrite(folder / "yfcc", text);
  for (int i : {1, 2, 5}) {
    overwrite(folder / fmt::format("photos/{}.png", i), encode_png(numbered_image(i, 4, 4)));
  }
  SourceOptions options;
  options.images = {folder / "photos"};
  for (int time = 0; time < 2; ++time) {  // the second finds what the first one joined
    const auto source =
        open_source({folder / "yfcc", SourceKind::yfcc100m}, options, {}, folder / "work");
    ASSERT_EQ(source->size(), 2);
    EXPECT_EQ(source->item(0).tags, Strings{"café"});
    EXPECT_EQ(source->item(1).rejection, Rejection::unreadable_tags);
    EXPECT_EQ(source->item(1).detail, "a tag that is not Unicode text, 'caf\uFDD0'");
    const SourceReport& report = source->report();
    for (const char* kind : {"line about a photo that is not in --images", "line about a video",
                             "damaged line", "photo without metadata"}) {
      ASSERT_TRUE(report.passed_over.contains(kind)) << kind;
      EXPECT_EQ(report.passed_over.at(kind).count, 1) << kind;
    }
    EXPECT_EQ(report.passed_over.at("photo without metadata").examples, Strings{"5.png"});
    EXPECT_EQ(report.passed_over.at("damaged line").examples,
              Strings{(folder / "yfcc").string() + ", line 5"});
    EXPECT_NE(join(report.warnings, "").find("1 of 5 lines are passed over"), std::string::npos);
  }
}

TEST(Sources, TablesHaveTheColumnsAskedFor) {
  const TemporaryFolder folder;
  auto options = options_for(folder / "csv", {(files / "tables/list.csv.gz").string()});
  options.source.images = {files / "tables"};
  options.source.columns = parse_columns("image=file_name, tags=words,tags=kind,key=id of it");
  options.source.tag_separator = ";";
  expect_ingested(options, expected("list.csv.gz"));
  options.source.columns.tags = {"word"};
  options.out = folder / "out";
  expect_error([&] { ingest(options); },
               {"list.csv.gz, line 1", "'word'", "file_name', 'words', 'kind"}, ExitStatus::usage);
  options.source.columns = {};
  options.out = folder / "unnamed";
  expect_error([&] { ingest(options); }, {"no column 'tags'", "--columns"}, ExitStatus::usage);

  options = options_for(folder / "tsv", {(files / "tables/plain.tsv.zst").string()});
  options.source.columns = parse_columns("image=1,tags=2,tags=3");
  options.source.tag_separator = ";|";
  expect_ingested(options, expected("plain.tsv.zst"));
  expect_error([] { parse_columns("image=a,label=b"); }, {"label=b"}, ExitStatus::usage);
  expect_error([] { parse_columns("image=a,image=b"); }, {"one column"}, ExitStatus::usage);
}

/// Tags between commas without quotes must not get lost, nor an address be taken for a path.
TEST(Sources, RowsThatSayMoreThanTheHeadingAreRefused) {
  const TemporaryFolder folder;
  const auto list = folder / "list.csv";
  const auto detail_of = [&](const std::string& text) {
    std::ofstream(list) << text;
    auto options = options_for(folder / "out", {list.string()});
    options.max_bad = 0;
    try {
      ingest(options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string extra = detail_of("Image,Tags\na.jpg,dog, cat\n");
  EXPECT_NE(extra.find("line 2): 3 fields, the heading has 2; put a field with commas in quotes"),
            std::string::npos)
      << extra;
  const std::string blank = detail_of("image,tags\na.jpg,\"dog, cat\",,\n");
  EXPECT_EQ(blank.find("the heading has"), std::string::npos) << blank;
  const std::string address = detail_of("image,tags\nhttp://x.org/a.jpg,dog\n");
  EXPECT_NE(address.find("is an address; download"), std::string::npos) << address;
}

TEST(Sources, Img2datasetsTarsAndFoldersAreRead) {
  const TemporaryFolder folder;
  const Json items = expected("img2dataset");
  // As a shell expands img2dataset/*: the statistics and the table are passed over.
  auto options = options_for(folder / "tar", {(files / "img2dataset/00000.parquet").string(),
                                              (files / "img2dataset/00000.tar").string(),
                                              (files / "img2dataset/00000_stats.json").string()});
  ingest(options);  // no field "tags": captions, between commas as one of them has some
  EXPECT_EQ(tags_by_key(Dataset::open(folder / "tar")),
            (std::map<std::string, Tags>{{"00000/000000000", {"a dog on the beach"}},
                                         {"00000/000000001", {"red", "green"}}}));
  const std::map<std::string, Tags> hashtags = {{"00000/000000000", {"dog", "beach"}},
                                                {"00000/000000001", {"colour"}}};
  for (const char* source : {"img2dataset/00000.tar", "img2dataset/files"}) {
    options = options_for(folder / fs::path(source).stem().string(), {(files / source).string()});
    options.source.columns = parse_columns("tags=hashtags");
    ingest(options);
    EXPECT_EQ(tags_by_key(Dataset::open(options.out)), hashtags);
  }
}

TEST(Sources, TinyImageNetHasWordNetsWords) {
  const auto [nouns, missing] = outside("HARDMOE_WORDNET", "data.noun", "/usr/share/wordnet");
  if (!missing.empty()) GTEST_SKIP() << missing << "; Debian's wordnet-base has it";
  // `wn tabby -hypen`, sense 1; `wn goldfish -hypen`, sense 1.
  const Tags tabby = {
      "tabby",    "tabby cat",       "domestic cat", "domestic animal", "cat",
      "feline",   "carnivore",       "placental",    "mammal",          "vertebrate",
      "chordate", "animal",          "organism",     "living thing",    "whole",
      "object",   "physical entity", "entity"};
  const WordNet wordnet(nouns.parent_path());
  const auto tags = wordnet.tags_of("n02123045");
  EXPECT_EQ(Tags(tags.begin(), tags.end()), tabby);
  EXPECT_EQ(tags.size(), tabby.size());
  EXPECT_EQ((Strings{tags[0], tags[1]}), (Strings{"tabby", "tabby cat"}));
  expect_error([&] { wordnet.tags_of("n02123046"); }, {"data.noun", "2123046"});
  expect_error([] { WordNet("/nowhere"); }, {"wordnet-base"}, ExitStatus::usage);

  const TemporaryFolder folder;
  auto options = options_for(folder / "out", {(files / "tiny-imagenet-200").string()});
  options.source.wordnet = nouns.parent_path();
  options.val_sources = options.sources;
  ingest(options);
  const Dataset data = Dataset::open(folder / "out");
  const auto train = tags_by_key(data);
  EXPECT_EQ(train.at("train/n02123045_0"), tabby);
  EXPECT_TRUE(train.at("train/n01443537_0").contains("carassius auratus"));
  EXPECT_TRUE(train.at("train/n01443537_0").contains("fish"));
  EXPECT_EQ(tags_by_key(data, "val"), (std::map<std::string, Tags>{{"val/val_0", tabby}}));
}

TEST(Sources, CombineInOneCallAndBeForced) {
  const TemporaryFolder folder;
  write_numbered_tar(folder / "a.tar", 3, 4, 4);
  overwrite(folder / "list.txt",
            Json{{"image", (files / "tables/a.png").string()}, {"tags", {"one"}}}.dump());
  const Strings sources = {(folder / "a.tar").string(), (folder / "list.txt").string(),
                           (files / "idx").string(),
                           (files / "cifar-10-batches-bin/test_batch.bin").string(),
                           fmt::format("csv:{}", (folder / "no-csv").string())};
  overwrite(folder / "no-csv", fmt::format("path\ttags\n{}\ttwo\n", "a"));
  auto options = options_for(folder / "out", sources);
  expect_error([&] { ingest(options); }, {"no-csv, line 1", "no column 'image'"},
               ExitStatus::usage);
  options.sources.pop_back();
  options.out = folder / "combined";
  ingest(options);
  EXPECT_EQ(Dataset::open(folder / "combined").split("train").size(), 3 + 1 + 4 + 2);
  options.out = folder / "other";
  options.source.format = "bmp";
  expect_error([&] { ingest(options); }, {"--format", "'bmp'", "cifar10"}, ExitStatus::usage);
  overwrite(folder / "noise", std::string("\x01\x02\x03 noise", 9));
  options.source.format.clear();
  options.sources = {(folder / "noise").string()};
  expect_error([&] { ingest(options); }, {"noise", "of no known kind", "KIND:PATH"},
               ExitStatus::usage);
}

TEST(Sources, WhatIsNoSourceIsToldWithWhatToDo) {
  const TemporaryFolder folder;
  const auto refuse = [&](const std::string& name, const std::string& bytes, const Strings& words) {
    overwrite(folder / name, bytes);
    SCOPED_TRACE(name);
    expect_error([&] { ingest(options_for(folder / "out", {(folder / name).string()})); }, words,
                 ExitStatus::usage);
  };
  refuse("array.json", R"([{"image": "a.png", "tags": ["a"]}])", {"array.json", "array", "jq"});
  refuse("nothing", "", {"nothing", "empty"});
  refuse("one.csv", "word\nyes\n", {"one.csv, line 1", "no column 'image' among 'word'"});
  fs::create_directories(folder / "lists");
  expect_error(
      [&] {
        ingest(options_for(folder / "out", {fmt::format("csv:{}", (folder / "lists").string())}));
      },
      {"lists", "a folder", "csv"}, ExitStatus::usage);
  // A list of a heading alone has no images.
  overwrite(folder / "heading.csv", "image,tags\n");
  expect_error([&] { ingest(options_for(folder / "o", {(folder / "heading.csv").string()})); },
               {"heading.csv: no images there", "a line an image"}, ExitStatus::usage);
}

TEST(Sources, WhatDescribesAnImageIsBesideIt) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "in/animal");
  for (int i = 0; i < 5; ++i) {
    overwrite(folder / fmt::format("in/animal/{}.png", i), encode_png(numbered_image(i, 4, 4)));
  }
  overwrite(folder / "in/animal/1.json", R"({"tags": ["cat"], "caption": "x"})");
  overwrite(folder / "in/animal/2.txt", "a dog");
  overwrite(folder / "in/animal/3.json", R"({"tags": []})");  // it has none, whatever the folder
  overwrite(folder / "in/animal/4.json", "{");
  auto options = options_for(folder / "out", {(folder / "in/").string()});
  options.max_bad = 0.2;
  ingest(options);
  EXPECT_EQ(tags_by_key(Dataset::open(folder / "out")),
            (std::map<std::string, Tags>{
                {"animal/0", {"animal"}}, {"animal/1", {"cat"}}, {"animal/2", {"a", "dog"}}}));
  const std::string rejected = read_file(folder / "out/rejected.jsonl");
  EXPECT_NE(rejected.find("not valid JSON, column 2: unexpected end of input; expected"),
            std::string::npos)
      << rejected;
  EXPECT_NE(rejected.find("no tags"), std::string::npos);
}

TEST(Sources, ListsFindImagesInTarsAndFoldersWithoutExtension) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "files");
  write_numbered_tar(folder / "a.tar", 2, 4, 4);
  overwrite(folder / "files/z.png", encode_png(numbered_image(9, 4, 4)));
  overwrite(folder / "list.tsv", "path\ttags\n./0000\tone\n0001.png\ttwo\nz\tthree\nno\tx\n");
  auto options = options_for(folder / "out", {(folder / "list.tsv").string()});
  options.source.images = {folder / "a.tar", folder / "files"};
  options.max_bad = 0.25;
  ingest(options);
  EXPECT_EQ(tags_by_key(Dataset::open(folder / "out")),
            (std::map<std::string, Tags>{{"0000", {"one"}}, {"0001", {"two"}}, {"z", {"three"}}}));
  EXPECT_NE(read_file(folder / "out/rejected.jsonl").find("'no' is in none of --images"),
            std::string::npos);
  // The images' tars are inputs, too.
  write_numbered_tar(folder / "a.tar", 3, 4, 4);
  expect_error([&] { ingest(options); }, {"other sources", "changed", "a.tar"}, ExitStatus::usage);
}

TEST(RecordFile, FindsRecordsByNumber) {
  const TemporaryFolder folder;
  std::string text = "\xEF\xBB\xBF";
  for (int i = 0; i < 500; ++i)
    text += fmt::format("{},\"two\r\nlines, \"\"q\"\"\",x\"y\r\n\r\n", i);
  overwrite(folder / "a.csv", text + "500,last,");
  const RecordFile records(folder / "a.csv", RecordForm::quoted);
  ASSERT_EQ(records.size(), 501);
  for (const int64_t i : {0, 1, 63, 64, 65, 499}) {
    const Record record = records.record(i);
    EXPECT_EQ(record.line, 1 + 3 * i);
    EXPECT_EQ(split_fields(record.text, TableForm{}).fields,
              (Strings{fmt::format("{}", i), "two\r\nlines, \"q\"", "x\"y"}));
  }
  EXPECT_EQ(split_fields(records.record(500).text, TableForm{}).fields,
            (Strings{"500", "last", ""}));
  const RecordFile lines(folder / "a.csv", RecordForm::line);
  EXPECT_EQ(lines.size(), 1001);
}

}  // namespace
}  // namespace hardmoe
