// Sources that are not as they should be: what the message says, and that the corrected run needs
// no other folder.
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/text.h"
#include "data/dataset.h"
#include "expect_error.h"
#include "ingest/ingest.h"
#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

class IngestMistakes : public testing::Test {
 protected:
  IngestMistakes() {
    for (int i = 0; i < 12; ++i) {
      overwrite(folder / fmt::format("{}.png", i), encode_png(numbered_image(i, 4, 4)));
    }
    options.out = folder / "out";
  }

  /// The option's source: a file of that name with those bytes.
  void write(const std::string& name, const std::string& bytes) {
    overwrite(folder / name, bytes);
    options.sources = {(folder / name).string()};
  }
  /// 12 lines, the images' tags in that field.
  std::string list(const std::string& field = "tags") const {
    std::string lines;
    for (int i = 0; i < 12; ++i) {
      lines +=
          Json{{"image", fmt::format("{}.png", i)}, {field, {"a", fmt::format("b{}", i)}}}.dump() +
          '\n';
    }
    return lines;
  }
  void refuse(const Strings& words, ExitStatus status = ExitStatus::usage) const {
    expect_error([&] { ingest(options); }, words, status);
  }
  /// What ingesting says beside its result.
  std::string warnings() const {
    testing::internal::CaptureStderr();
    ingest(options);
    return testing::internal::GetCapturedStderr();
  }
  std::string rejected() const { return read_file(options.out / "rejected.jsonl"); }

  TemporaryFolder folder;
  IngestOptions options;
};

TEST_F(IngestMistakes, TagsUnderAnotherNameAreToldWithWhatIsThere) {
  write("list.jsonl", list("labels"));
  refuse({"no item of", "0 (", "list.jsonl, line 1) has no tags",
          "no field 'tags' among 'image', 'labels'; name it by --columns tags=NAME",
          "see " + (options.out / "rejected.jsonl").string()});
  const std::string lines = rejected();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 12);
  refuse({"no field 'tags'"});  // as often as it is asked
  options.source.columns.tags = {"labels"};
  EXPECT_EQ(ingest(options).counts["splits"]["train"]["images"], 12);
}

TEST_F(IngestMistakes, AMisspeltColumnIsAnsweredWithTheNearest) {
  write("list.jsonl", list("labels"));
  options.source.columns.tags = {"lables"};
  refuse({"no field 'lables' among 'image', 'labels' (did you mean 'labels'?); name it by"});
  write("list.csv", "picture,words\n0.png,a\n");
  options.sources = {(folder / "list.csv").string()};
  options.source.columns.image = {"picture"};
  options.source.columns.tags = {"wrods"};
  refuse({"no column 'wrods' (--columns) among 'picture', 'words'; did you mean 'words'?"});
  expect_error([] { parse_columns("tga=x"); }, {"'tga' is not one of them; did you mean 'tags'?"},
               ExitStatus::usage);
}

TEST_F(IngestMistakes, ImagesUnderAnotherNameAreToldWithWhatIsThere) {
  write("list.jsonl", R"({"photo": "0.png", "tags": ["a"]})");
  refuse({"no item of", "has no image, no field 'image' among 'photo', 'tags'",
          "--columns image=NAME"});
  write("list.jsonl", R"({"image": ["0.png"], "tags": ["a"]})");
  refuse({"has no image, field 'image': expected a path, found array"});
}

TEST_F(IngestMistakes, BlankTagsAndFlatFoldersAreToldWithARemedy) {
  write("list.csv", "path,tags,more\n0.png,,a\n1.png, ,a\n");
  refuse({"no item of", "list.csv, line 2) has no tags, column 'tags' is blank"});
  write("list.csv", "0.png,,a\n1.png, ,a\n");
  options.source.columns = parse_columns("image=1,tags=2");
  refuse({"no tags", "column 2 is blank"});
  options.source.columns = {};
  write("list.jsonl", R"({"image": "0.png", "tags": []})");
  refuse({"has no tags, field 'tags' is empty"});
  write("list.jsonl", R"({"image": "0.png", "tags": ["a"]})");
  overwrite(folder / "stop.txt", "a\n");
  options.stop_tags = folder / "stop.txt";
  refuse({"has no tags, all are stopped or blank"});
  options.stop_tags.clear();
  write("list.jsonl", R"({"image": "0.png", "truth": ["a"]})");
  refuse({"has no tags, no field 'tags' among 'image', 'truth'"});
  fs::create_directories(folder / "flat");
  fs::copy(folder / "0.png", folder / "flat");
  options.sources = {(folder / "flat").string()};
  refuse({"0 (", "0.png) has no tags, not in a subfolder of", "no 0.json or 0.txt beside it"});
  overwrite(folder / "flat/0.txt", "a");  // the images' names are what they were
  EXPECT_EQ(ingest(options).counts["splits"]["train"]["images"], 1);
}

TEST_F(IngestMistakes, OneSourceWithoutTagsAmongOthersIsAWarning) {
  write("labels.jsonl", R"({"image": "0.png", "labels": ["a"]})");
  write("list.jsonl", list());
  options.sources.push_back((folder / "labels.jsonl").string());
  const std::string warning = warnings();
  EXPECT_NE(warning.find("labels.jsonl can be used"), std::string::npos) << warning;
  EXPECT_NE(warning.find("no field 'tags' among 'image', 'labels'"), std::string::npos) << warning;
}

TEST_F(IngestMistakes, AListIsMendedAndReadAnew) {
  const std::string whole = list();
  std::string broken = whole;
  broken.replace(broken.find("[\"a\",\"b1\"]"), 1, "");
  write("list.jsonl", broken);
  refuse({"1 of 12 items cannot", "list.jsonl, line 2", "not valid JSON, column 33: ",
          "expected ':'", "put the list or tar right and run the same command", "rejected.jsonl"},
         ExitStatus::failed);
  EXPECT_NE(rejected().find("line 2"), std::string::npos);
  expect_error([&] { ingest(options); }, {"1 of 12 items"});
  write("list.jsonl", whole);
  EXPECT_EQ(ingest(options).counts["splits"]["train"]["images"], 12);
}

TEST_F(IngestMistakes, AllFaultsOfASmallSetAreListedAndALargeOneStopsSoon) {
  std::string lines = list();
  for (int i = 0; i < 3; ++i) lines += "no JSON\n";
  write("list.jsonl", lines);
  refuse({"3 of 15 items cannot", "line 13", "line 14", "line 15"}, ExitStatus::failed);
  for (int i = 0; i < 10000; ++i) lines += "no JSON\n";
  write("list.jsonl", lines);
  options.force = true;
  refuse({"101 of 113 items read so far cannot", "all 10015"}, ExitStatus::failed);
}

TEST_F(IngestMistakes, AListBesideImagesInFoldersIsPointedAt) {
  std::filesystem::create_directories(folder / "photos/cat");
  overwrite(folder / "photos/cat/a.png", encode_png(numbered_image(1, 4, 4)));
  overwrite(folder / "photos/metadata.csv", "file_name,tags\ncat/a.png,animal\n");
  options.sources = {(folder / "photos").string()};
  const std::string warning = warnings();
  EXPECT_NE(warning.find("to take tags from a list, name "), std::string::npos) << warning;
  EXPECT_NE(warning.find("metadata.csv"), std::string::npos) << warning;
}

TEST_F(IngestMistakes, AQuoteThatIsNotClosedCostsItsOwnLineOnly) {
  // One that nothing closes, one that a later line's opening quote seems to close, a good one over
  // two lines.
  write("list.csv",
        "image,tags\n0.png,\"dog\n1.png,cat\n2.png,\"beach ball\n3.png,\"x, y\"\n"
        "4.png,\"two\nlines\"\n5.png,last\n6.png,\"end\n");
  options.max_bad = 0.5;
  options.source.tag_separator = ",\n";
  EXPECT_EQ(ingest(options).counts["splits"]["train"]["images"], 4);
  const std::string lines = rejected();
  for (const char* line : {"line 2", "line 4", "line 9"}) {
    EXPECT_NE(lines.find(line), std::string::npos) << line << " is not in " << lines;
  }
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3);
  EXPECT_NE(lines.find("a quote is not closed, or not before a comma"), std::string::npos);
  const Dataset data = Dataset::open(options.out);
  EXPECT_EQ(data.vocabulary().size(), 6);  // cat, x, y, two, lines, last
}

TEST_F(IngestMistakes, ABlankAfterAQuoteClosesNothing) {
  write("list.csv", "image,tags\n0.png,\"dog\n1.png,24\" tv\n2.png,\"a\nb\" ,\n3.png,cat\n");
  options.max_bad = 0.5;
  EXPECT_EQ(ingest(options).counts["splits"]["train"]["images"], 3);
  EXPECT_NE(rejected().find("line 2"), std::string::npos) << rejected();
}

TEST_F(IngestMistakes, ManyQuotesThatAreNotClosedTakeNoTime) {
  std::string lines = "image,tags\n";
  for (int i = 0; i < 20000; ++i) lines += "img/1.png\",\"dog,cat,bird\n";
  write("list.csv", lines);
  refuse({"items read so far cannot be used"}, ExitStatus::failed);
}

TEST_F(IngestMistakes, WhatLiesBesideAResultIsNotRemoved) {
  write("list.jsonl", list());
  ingest(options);
  overwrite(options.out / "notes.txt", "mine");
  options.min_size = 2;
  options.force = true;
  refuse({"holds 'notes.txt'", "did not write"});
  EXPECT_EQ(read_file(options.out / "notes.txt"), "mine");
  EXPECT_EQ(Dataset::open(options.out).split("train").size(), 12);
  std::filesystem::remove(options.out / "notes.txt");
  EXPECT_FALSE(ingest(options).was_done);
}

TEST_F(IngestMistakes, TagsOfAnotherEncodingAreRefusedWithTheirReason) {
  write("list.csv", "image,tags\n0.png,dog\n1.png,\"dog,caf\xE9\"\n");
  options.max_bad = 0.5;
  EXPECT_EQ(ingest(options).counts["splits"]["train"]["images"], 1);
  EXPECT_NE(rejected().find("not UTF-8, byte 0xE9"), std::string::npos) << rejected();
}

TEST_F(IngestMistakes, ColumnsOfOneNameAreAllRead) {
  write("list.csv", "image,tags,tags\n0.png,dog,cat\n1.png,bird,dog\n");
  ingest(options);
  EXPECT_EQ(Dataset::open(options.out).vocabulary().size(), 3);
  write("list.csv", "image,image,tags\n0.png,1.png,cat\n");
  options.force = true;
  refuse({"line 1", "two columns 'image'", "rename"});
}

TEST_F(IngestMistakes, SourcesInsideTheResultAreNotReplaced) {
  write("list.jsonl", list());
  ingest(options);
  options.sources = {(options.out / "shards").string()};
  options.force = true;
  refuse({"shards", "is read and lies in", "choose another --out"});
  EXPECT_EQ(Dataset::open(options.out).split("train").size(), 12);
}

TEST_F(IngestMistakes, AnUnfinishedDatasetIsNotTakenForAFolderOfImages) {
  write("list.jsonl", list());
  ingest(options);
  std::filesystem::remove(options.out / "dataset.json");
  expect_error([&] { Dataset::open(options.out); }, {"not finished", "the same moe-ingest"},
               ExitStatus::usage);
}

TEST_F(IngestMistakes, AMisspeltKindIsToldFromAMissingFile) {
  write("list.jsonl", list());
  options.sources = {"jsnl:" + options.sources[0]};
  refuse({"'jsnl' is no kind of source", "jsonl"});
  options.sources = {"jsnl:/nowhere"};
  refuse({"no such file"});
}

TEST_F(IngestMistakes, AFileIsPutRightAndTriedAgain) {
  write("list.jsonl", list());
  overwrite(folder / "3.png", "no image");
  try {
    ingest(options);
    FAIL();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("put the files right and read them again by --retry-failed"),
              std::string::npos);
    EXPECT_EQ(message.find("list or tar"), std::string::npos) << message;
  }
  overwrite(folder / "3.png", encode_png(numbered_image(3, 4, 4)));
  options.retry_failed = true;
  EXPECT_EQ(ingest(options).counts["splits"]["train"]["images"], 12);
}

TEST_F(IngestMistakes, AFailedRunLetsOtherOptionsBegin) {
  write("list.jsonl", list());
  options.min_tag_count = 20;
  refuse({"no tag is on 20 or more of the 12", "the most frequent is on 12", "--min-tag-count",
          "rejected.jsonl"});
  EXPECT_EQ(rejected(), "");
  options.min_tag_count = 1;
  options.min_size = 5;
  refuse({"no image is left in split 'train' of the 12 read (12 too small)", "rejected.jsonl"},
         ExitStatus::failed);
  EXPECT_NE(rejected().find("too small"), std::string::npos);
  options.min_size = 0;
  EXPECT_FALSE(ingest(options).was_done);
  options.min_size = 3;
  refuse({"min_size: was 0, is 3", "--force"});
}

/// As if it had been stopped after its last checkpoint.
TEST_F(IngestMistakes, AnInterruptedRunKeepsOtherOptionsOut) {
  write("list.jsonl", list());
  overwrite(folder / "3.png", "no image");
  options.max_bad = 0.5;
  ingest(options);  // its work stays, for the file that could not be read
  Json record = read_json(options.out / "stage.json");
  record["done"] = false;
  write_json(options.out / "stage.json", record);
  fs::remove(options.out / "dataset.json");
  options.min_size = 3;
  refuse({"min_size: was 0, is 3", "--force"});
  // Nor one that failed once it goes on, and has got further.
  options.min_size = 0;
  options.max_bad = 0;
  refuse({"1 of 12"}, ExitStatus::failed);
  options.max_bad = 0.5;
  EXPECT_FALSE(ingest(options).was_done);
  options.min_size = 3;
  refuse({"min_size: was 0, is 3", "--force"});
}

TEST_F(IngestMistakes, OtherSeparatorsAreGuessed) {
  write("list.csv", "image;tags\n0.png;a,b\n");
  refuse({"list.csv, line 1", "no column 'image' among 'image;tags'", "looks like ';'", "tr ';'"});
  write("list", "image;tags\n0.png;a\n");
  refuse({"list, line 1", "looks like ';'"});
  options.source.columns.image = {"image"};
  refuse({"'image' (--columns) among 'image;tags'; the separator looks like ';'"});
  options.source.columns = {};
  options.source.format = "csv";
  write("tabs", "image\ttags\n0.png\ta\n");
  refuse({"looks like a tab", "tsv:PATH"});
  options.source.format = "tsv";
  write("commas", "image,tags\n0.png,a\n");
  refuse({"looks like ','", "csv:PATH"});
}

TEST_F(IngestMistakes, TheTableSaysWhereToLook) {
  write("list.jsonl", list());
  overwrite(folder / "3.png", "no image");
  options.max_bad = 0.5;
  const Json counts = ingest(options).counts;
  const std::string table = ingest_table(counts, options.out);
  const std::string listed = "rejected items: " + (options.out / "rejected.jsonl").string();
  EXPECT_NE(table.find(listed), std::string::npos) << table;
  EXPECT_NE(table.find("no split 'val'"), std::string::npos) << table;
  options.val_fraction = 0.5;
  options.out = folder / "other";
  const std::string both = ingest_table(ingest(options).counts, options.out);
  EXPECT_EQ(both.find("no split"), std::string::npos) << both;
}

}  // namespace
}  // namespace hardmoe
