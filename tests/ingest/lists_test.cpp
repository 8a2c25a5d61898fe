// Lists of images: as other programs write them (references/make_lists.py), their mistakes, and
// what they may not reach.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <map>

#include "base/text.h"
#include "data/record_file.h"
#include "expect_error.h"
#include "image/augment.h"
#include "ingest/sources/compressed.h"
#include "ingest/sources/list_text.h"
#include "ingest/sources/source.h"
#include "ingest/sources/tag_column.h"
#include "small_dataset.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

const fs::path files = test_files() / "lists";

/// A source as moe-ingest would read it.
struct Opened {
  explicit Opened(const fs::path& file, const SourceOptions& options = {})
      : source(open_source(expand_sources({file.string()}, false, options, {}).sources.at(0),
                           options, {}, file.parent_path() / "work")) {
    for (int64_t i = 0; i < source->size(); ++i) items.push_back(source->item(i));
  }
  /// Of a line's number, what became of it: its tags, or the reason and its detail.
  std::string line(size_t i) const {
    const SourceItem& item = items.at(i);
    return item.rejection == Rejection::none
               ? join(item.tags, "|")
               : fmt::format("{}: {}", name_of(item.rejection), item.detail);
  }
  std::string facts() const { return join(source->report().facts, "\n"); }
  std::string warnings() const { return join(source->report().warnings, "\n"); }

  std::unique_ptr<Source> source;
  std::vector<SourceItem> items;
};

void expect_within(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part << " is not in:\n" << text;
}

class Lists : public testing::Test {
 protected:
  Lists() {
    for (const char* name : {"0.png", "1.png", "2.png", "3.png", "4.png"}) {
      overwrite(folder / name, encode_png(numbered_image(1, 4, 4)));
    }
  }
  Opened open(const std::string& name, const std::string& bytes) const {
    overwrite(folder / name, bytes);
    return Opened(folder / name, options);
  }
  TemporaryFolder folder;
  SourceOptions options;
};

TEST_F(Lists, TsvIsQuotedAsPandasQuotes) {
  const Json expected = read_json(files / "tables.json");
  options.tag_separator = "\v";  // what is in a field is one tag
  for (const char* name : {"minimal.tsv", "all.tsv", "nonnumeric.tsv"}) {
    SCOPED_TRACE(name);
    const Opened list(files / name, options);
    Strings tags;
    for (const auto& item : list.items) tags.push_back(join(item.tags, "\v"));
    EXPECT_EQ(tags, expected["quoted"].get<Strings>());
    expect_within(list.facts(), "quotes stand around fields");
    EXPECT_EQ(list.items[1].key, "1");
  }
  const Opened bare(files / "none.tsv", options);
  Strings tags;
  for (const auto& item : bare.items) tags.push_back(join(item.tags, "\v"));
  EXPECT_EQ(tags, expected["bare"].get<Strings>());
  expect_within(bare.facts(), "quotes are characters as others");
}

TEST_F(Lists, TsvWithFewQuotesIsDecidedAsAWhole) {
  // Two quotes that could be one field's, but the lines have their fields without them.
  const Opened bare = open("a.tsv", "image\ttags\n0.png\t\"dog\n1.png\t24\"\n2.png\tx\n");
  ASSERT_EQ(bare.items.size(), 3U);
  EXPECT_EQ(bare.line(0), "\"dog");
  EXPECT_EQ(bare.line(1), "24\"");
  const Opened across = open("b.tsv", "image\ttags\ttruth\n0.png\t\"dog\tcat\"\n");
  EXPECT_EQ(across.line(0), "\"dog");
  // Both: quotes as characters, which is said.
  const Opened both = open("c.tsv", "image\ttags\n0.png\t\"a dog\"\n1.png\t24\" tv\n");
  EXPECT_EQ(both.line(0), "\"a|dog\"");
  expect_within(both.warnings(),
                "1 fields stand in quotes, and 1 have other quotes (the first in "
                "line 3)");
  std::string text = "image\ttags\n";
  for (int i = 0; i < 300; ++i) text += "0.png\t\"a\tb\"\n";
  const Opened most = open("d.tsv", text + "1.png\t24\" tv\n");
  EXPECT_EQ(most.line(0), "a|b");
  EXPECT_EQ(most.line(300), "24\"|tv");
  expect_within(most.warnings(), "those are read as they stand");
}

TEST_F(Lists, CsvMayHaveBlanksBehindItsCommas) {
  const Opened list = open("a.csv", "image, tags, Key\n0.png, \"dog, cat\", k\n1.png, x,y\n");
  EXPECT_EQ(list.line(0), "dog|cat");
  EXPECT_EQ(list.items[0].key, "k");
  EXPECT_EQ(list.line(1), "x");
  EXPECT_EQ(open("b.csv", "tags ,image\ndog,0.png\n").line(0), "dog");
  EXPECT_EQ(open("c.csv", "tags, image\ndog, 0.png\n").items[0].path, folder / "0.png");
}

TEST_F(Lists, LineEndsOfAllSystemsAndByteOrderMarksAreUnderstood) {
  const Opened mac = open("a.csv", "image,tags\r0.png,dog\r1.png,\"cat\rbird\"\r");
  ASSERT_EQ(mac.items.size(), 2U);
  EXPECT_EQ(mac.line(1), "cat|bird");
  EXPECT_EQ(mac.items[1].file, (folder / "a.csv").string() + ", line 3");
  EXPECT_EQ(open("b.csv", "\xEF\xBB\xBFimage,tags\r\n0.png,dog\r\n").line(0), "dog");
  const Opened lines = open("c.jsonl", "\xEF\xBB\xBF" + json_of("0.png", {"a"}) + "\xEF\xBB\xBF" +
                                           json_of("1.png", {"b"}));
  EXPECT_EQ(lines.line(1), "b");
  std::string utf16 = "\xFF\xFE";
  for (const char c : std::string("image,tags\n0.png,dog\n")) utf16 += {c, '\0'};
  for (const std::string& bytes : {utf16, utf16.substr(2)}) {
    for (const char* name : {"d.csv", "d.jsonl", "d"}) {
      expect_error([&] { open(name, bytes); }, {"UTF-16", "iconv"}, ExitStatus::usage);
    }
  }
}

TEST_F(Lists, BlankLinesArePassedOverAndCounted) {
  const Opened list = open("a.csv", "\nimage,tags\n\n0.png,a\n \n\n1.png,b\n\n\n");
  ASSERT_EQ(list.items.size(), 2U);
  const PassedOver& blank = list.source->report().passed_over.at("blank line");
  EXPECT_EQ(blank.count, 4);
  EXPECT_EQ(blank.examples[1], (folder / "a.csv").string() + ", line 3");
}

TEST_F(Lists, JsonIsReadAsPythonWritesIt) {
  const Opened list = open("a.jsonl", read_file(files / "python.jsonl"));
  EXPECT_EQ(list.line(0), "a");
  EXPECT_EQ(list.line(1), "10000000000000000000000000|7");
  EXPECT_EQ(list.line(2), "unreadable tags: a tag that is not Unicode text, 'a\uFDD0'");
  EXPECT_EQ(list.line(3), "😀");
  EXPECT_EQ(list.line(4), "it's NaN|-Infinity \\ \"x\"");
}

TEST_F(Lists, OfHuggingFaceAndParquetAreRead) {
  options.columns.tags = {"tags", "label"};
  const Opened json(files / "hugging_face.jsonl", options);
  EXPECT_EQ(json.line(0), "a|b's|0");
  EXPECT_EQ(json.items[0].path, files / "0.png");
  const Opened csv(files / "hugging_face.csv", options);
  EXPECT_EQ(csv.line(0), "a|b's|0");
  EXPECT_EQ(csv.line(1), "new york|1");
  EXPECT_EQ(csv.items[2].path, files / "2.png");
  expect_within(csv.warnings(), "column 'label': numbers only");
  const Opened parquet(files / "parquet.jsonl", options);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(parquet.items[i].made, read_file(files / fmt::format("{}.png", i)));
    EXPECT_EQ(parquet.items[i].key, fmt::format("{}", i));
  }
  EXPECT_EQ(parquet.line(1), "new york|golden retriever");
  overwrite(folder / "names",
            "\xEF\xBB\xBF"
            "cat\ngolden retriever\n");
  options.label_names = folder / "names";
  EXPECT_EQ(Opened(files / "hugging_face.csv", options).line(1), "new york|golden retriever");
  overwrite(folder / "names", "cat\n");
  EXPECT_EQ(Opened(files / "hugging_face.csv", options).line(1),
            "unreadable tags: label 1 of 1 (--label-names)");
}

TEST_F(Lists, OfImg2datasetsParquetAreRead) {
  options.columns = parse_columns("image=jpg,tags=caption,tags=hashtags");
  const Opened list(files / "img2dataset.jsonl", options);
  std::map<std::string, std::string> tags;
  for (size_t i = 0; i < list.items.size(); ++i) {
    tags[list.items[i].key] = list.line(i);
    EXPECT_EQ(decode_image(std::as_bytes(std::span(list.items[i].made))).size(0), 32);
  }
  EXPECT_EQ(tags, (std::map<std::string, std::string>{{"000000000", "a dog|a cat|a|b's"},
                                                      {"000000001", "golden retriever|c"},
                                                      {"000000002", "x"}}));
}

TEST_F(Lists, ImagesMayBeInsideJson) {
  EXPECT_EQ(open("a.jsonl", R"({"file_name": "0.png", "tags": "a"})").items[0].path,
            folder / "0.png");
  const Opened list = open("b.jsonl",
                           R"({"image": {"bytes": null, "path": "0.png"}, "tags": ["a"]}
{"image": {"path": "1.png"}, "tags": ["a"]}
{"image": {"bytes": "?", "path": "0.png"}, "tags": ["a"]}
{"image": {"bytes": "QUJD"}, "tags": ["a"]}
{"image": {"bytes": null, "path": null}, "tags": ["a"]}
{"image": {"url": "x"}, "tags": ["a"]}
)");
  EXPECT_EQ(list.items[0].path, folder / "0.png");
  EXPECT_EQ(list.items[1].path, folder / "1.png");
  EXPECT_EQ(list.line(2), "unreadable image: field 'image': 'bytes' is no base64 text");
  EXPECT_EQ(list.items[3].made, "ABC");
  EXPECT_EQ(list.items[3].key, "line-4");
  EXPECT_EQ(list.line(4), "no image: no image is named");
  EXPECT_EQ(list.line(5), "no image: field 'image': expected a path, found object");
}

TEST_F(Lists, TextsInJsonHaveOneSeparator) {
  std::string text;
  for (const char* tags : {"golden retriever", "dog, beach", "['a', \\\"b's\\\"]", "{a,b}"}) {
    text += fmt::format("{{\"image\": \"0.png\", \"tags\": \"{}\"}}\n", tags);
  }
  const Opened list = open("a.jsonl", text);
  EXPECT_EQ(list.line(0), "golden retriever");
  EXPECT_EQ(list.line(1), "dog|beach");
  EXPECT_EQ(list.line(2), "a|b's");
  expect_within(list.line(3), "field 'tags': '{a,b}' looks like a list");
  expect_within(list.facts(), "field 'tags': tags separated by ',', in 2 of 3 texts");
}

TEST_F(Lists, LargeOnesAreSampledAlike) {
  std::string text = "image,tags\n";
  for (int i = 0; i < 200'000; ++i)
    text += i % 50 == 0 ? "0.png,a;b\n" : "0.png,golden retriever\n";
  overwrite(folder / "a.csv", text);
  const SourceOptions none;
  const auto source = open_source({folder / "a.csv", SourceKind::csv}, none, {}, folder / "work");
  EXPECT_EQ(source->item(199'999).tags, Strings{"golden retriever"});
  const RecordFile records(folder / "a.csv", RecordForm::line);
  std::vector<int64_t> lines;
  records.sample([&](const Record& record) { lines.push_back(record.line); });
  EXPECT_EQ(lines.size(), 65'536U);
  EXPECT_EQ(lines.front(), 1);
  EXPECT_GT(lines.back(), 199'000);
  EXPECT_TRUE(std::is_sorted(lines.begin(), lines.end()));
  expect_within(join(source->report().facts, "\n"), "of 65,535 texts");
}

TEST_F(Lists, LabelsOpenImagesSaysAreAbsentAreLeftOut) {
  // storage.googleapis.com/openimages/web/factsfigures_v7.html, "Image-level labels".
  fs::create_directories(folder / "train");
  overwrite(folder / "train/000026e7ee790996.jpg", "");
  options.images = {folder / "train"};
  const Opened list = open("labels.csv",
                           "ImageID,Source,LabelName,Confidence\n"
                           "000026e7ee790996,verification,/m/04hgtk,0\n"
                           "000026e7ee790996,verification,/m/07j7r,1\n"
                           "000026e7ee790996,machine,/m/0bt9lr,0.7\n"
                           "000026e7ee790996,machine,/m/0bt9lr,0.0\n"
                           "000026e7ee790996,machine,/m/0bt9lr,\n");
  EXPECT_EQ(list.line(0), "absent label: '/m/04hgtk' of Confidence 0 on '000026e7ee790996'");
  EXPECT_EQ(list.line(1), "/m/07j7r");
  EXPECT_EQ(list.items[1].path, folder / "train/000026e7ee790996.jpg");
  EXPECT_EQ(list.line(2), "/m/0bt9lr");
  EXPECT_EQ(list.items[3].rejection, Rejection::absent_label);
  EXPECT_EQ(list.items[4].rejection, Rejection::unreadable_tags);
  options.columns = parse_columns("image=ImageID,tags=LabelName");
  EXPECT_EQ(Opened(folder / "labels.csv", options).items[0].rejection, Rejection::absent_label);
}

TEST_F(Lists, NamesMayNotLeaveTheImages) {
  fs::create_directories(folder / "in/sub");
  overwrite(folder / "in/sub/a.png", "");
  const std::string text = json_of("sub/a.png", {"a"}) + json_of("../0.png", {"a"}) +
                           json_of("sub/../../0.png", {"a"}) +
                           json_of((folder / "0.png").string(), {"a"}) +
                           R"({"image": {"path": "../0.png"}, "tags": ["a"]})";
  options.images = {folder / "in"};
  const Opened list = open("a.jsonl", text);
  EXPECT_EQ(list.items[0].rejection, Rejection::none);
  for (size_t i = 1; i < 5; ++i) EXPECT_EQ(list.items[i].rejection, Rejection::outside) << i;
  expect_within(list.line(1), "'../0.png' may lie outside --images; --allow-outside reads it");
  options.allow_outside = true;
  for (const auto& item : Opened(folder / "a.jsonl", options).items) {
    EXPECT_EQ(item.rejection, Rejection::none) << item.detail;
  }
  options = {};
  EXPECT_EQ(open("a.jsonl", json_of((folder / "0.png").string(), {"a"})).line(0), "a");
}

TEST_F(Lists, NamesThatDifferAreExplained) {
  fs::create_directories(folder / "photos");
  overwrite(folder / "photos/caf\u00e9.png", "");
  overwrite(folder / "photos/cafe\u0301 2.png", "");
  const std::string text = json_of("photos\\caf\u00e9.png", {"a"}) +
                           json_of("photos/cafe\u0301.png", {"a"}) +
                           json_of("photos\\caf\u00e9 2.png", {"a"}) +
                           json_of(" photos/caf\u00e9.png", {"a"}) + json_of("none.png", {"a"});
  const auto check = [](const Opened& list) {
    expect_within(list.line(0), "with '/' instead of '\\' it is there");
    expect_within(list.line(1), "in another Unicode form (NFC, NFD) it is there");
    expect_within(list.line(2), "in another Unicode form");
    expect_within(list.line(3), "without the blanks around it it is there");
    expect_within(list.line(4), "no such file");
    for (const auto& item : list.items) EXPECT_EQ(item.rejection, Rejection::unreadable_image);
  };
  check(open("a.jsonl", text));
  options.images = {folder.path()};
  check(open("a.jsonl", text));
  options.images = {};
  expect_within(open("a.csv", "image,tags\ncaf\xE9.png,x\n").line(0), "is not UTF-8");
}

TEST_F(Lists, WhatIsNoFileIsRefusedWithoutWaiting) {
  ASSERT_EQ(::mkfifo((folder / "pipe.png").c_str(), 0600), 0);
  fs::create_directories(folder / "folder.png");
  fs::create_symlink("/dev/zero", folder / "zero.png");
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string name = folder / "socket.png";
  name.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  std::string text;
  for (const char* image : {"pipe.png", "folder.png", "zero.png", "socket.png"}) {
    text += json_of(image, {"a"});
  }
  overwrite(folder / "a.jsonl", text);
  IngestOptions ingesting;
  ingesting.sources = {(folder / "a.jsonl").string()};
  ingesting.out = folder / "out";
  expect_error([&] { ingest(ingesting); }, {"pipe.png"});
  ::close(listener);
  const std::string rejected = read_file(folder / "out/rejected.jsonl");
  for (const char* what :
       {"it is a pipe, expected a file", "it is a folder", "it is a device", "it is a socket"}) {
    expect_within(rejected, what);
  }
}

TEST_F(Lists, TagsOfOneImageAreBounded) {
  std::string many = "0.png";
  for (int i = 0; i < 120'000; ++i) many += fmt::format("{}t{}", i == 0 ? ',' : ';', i);
  Json all = Json::array();
  for (size_t i = 0; i < most_tags; ++i) all.push_back(fmt::format("t{}", i));
  const std::string text = Json{{"image", "0.png"}, {"tags", all}}.dump() + '\n';
  all.push_back("one more");
  const Opened list = open("a.jsonl", text + Json{{"image", "0.png"}, {"tags", all}}.dump());
  EXPECT_EQ(list.items[0].rejection, Rejection::none);
  EXPECT_EQ(list.line(1), "unreadable tags: more than 10000 tags");
  EXPECT_EQ(open("a.csv", "image,tags\n" + many).line(0), "unreadable tags: more than 10000 tags");
  EXPECT_EQ(open("b.csv", "image,tags\n0.png," + std::string(300'000, 'x')).line(0),
            "unreadable tags: 300000 bytes of tags, at most 262144 are read");
  const std::string long_line =
      "{\"image\": \"0.png\", \"tags\": [\"" + std::string(size_t{1} << 24, 'x') + "\"]}\n";
  const Opened longest = open("b.jsonl", long_line + json_of("1.png", {"a"}));
  expect_within(longest.line(0), "bytes, at most 16777216 are read");
  EXPECT_EQ(longest.line(1), "a");
}

TEST_F(Lists, WhatUnpacksWithoutEndIsRefused) {
  const auto pack = [&](const std::string& command) {
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  };
  const std::string file = (folder / "a.csv").string();
  pack("head -c 70M /dev/zero | gzip > " + file + ".gz");
  expect_error([&] { read_unpacked(file + ".gz", [](std::string_view) { return true; }); },
               {"a.csv.gz: unpacks to more than 256 times its size"});
  pack("head -c 1M /dev/zero | gzip > " + file + ".gz");
  EXPECT_NO_THROW(read_unpacked(file + ".gz", [](std::string_view) { return true; }));
  if (std::system("zstd --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "no zstd";
  pack("head -c 1M /dev/zero | zstd -q --long=31 > " + file + ".zst");
  expect_error([&] { read_unpacked(file + ".zst", [](std::string_view) { return true; }); },
               {"a.csv.zst", "128 MiB", "zstd -d --long=31"});
  pack("echo x | zstd -q --long=27 > " + file + ".zst");
  EXPECT_EQ(read_head(file + ".zst", 9), "x\n");
}

/// Whatever stands in them, they are read or refused.
TEST_F(Lists, DamagedOnesNeverDoHarm) {
  Random random(11, RandomUse::augment);
  std::vector<std::string> texts;
  for (const char* name : {"minimal.tsv", "all.tsv", "none.tsv", "hugging_face.csv", "python.jsonl",
                           "hugging_face.jsonl", "texts.json"}) {
    texts.push_back(read_file(files / name));
  }
  const char* kinds[] = {"tsv", "csv", "jsonl"};
  for (int i = 0; i < 90; ++i) {
    options.format = kinds[i % 3];
    const auto name = fmt::format("{}.list", i % 3);
    try {
      const Opened list = open(name, mutated(texts[random.below(texts.size())], random));
      for (const auto& item : list.items) {
        for (const auto& tag : item.tags) EXPECT_EQ(valid_utf8_length(tag), tag.size());
      }
    } catch (const Error&) {
    }
  }
  const Json listed = read_json(files / "texts.json");
  for (const Json& item : listed["quoted"]) {
    for (int i = 0; i < 100; ++i) {
      parse_list_text(mutated(item["text"].get<std::string>(), random), 100);
    }
  }
}

TEST_F(Lists, ParquetIsToldHowItIsRead) {
  expect_error([&] { open("a.parquet", "PAR1\x15\x04"); },
               {"a.parquet: Parquet", "datasets/parquet/parquet_lines.py", "moe-ingest -"},
               ExitStatus::usage);
  expect_error([&] { open("table", "PAR1\x15\x04"); }, {"Parquet"}, ExitStatus::usage);
}

}  // namespace
}  // namespace hardmoe
