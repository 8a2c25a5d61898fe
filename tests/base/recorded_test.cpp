// What one stage reads of another is compared with what that recorded.
#include "base/recorded.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/files.h"
#include "base/stage.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

class Recorded : public testing::Test {
 protected:
  Recorded() {
    Stage stage({folder / "base", "moe-train-base", {{"lr", 0.1}}});
    write("whole");
    stage.finish({"weights"}, {});
  }
  void write(const std::string& text) const { std::ofstream(file) << text; }

  TemporaryFolder folder;
  fs::path file = folder / "base/weights";
};

TEST_F(Recorded, OneReadingGivesBothChecksums) {
  std::ofstream(folder / "large") << std::string(700000, 'a');
  const Checksums found = checksums_of_file(folder / "large");
  EXPECT_EQ(found.sha256, sha256_of_file(folder / "large"));
  EXPECT_EQ(checksums_of_file(file).crc32c, 0xA9ADCFACU);  // google_crc32c.value(b"whole")
}

TEST_F(Recorded, AcceptsAFileAsItWas) {
  require_as_recorded(file);
  EXPECT_EQ(recorded(file)->sha256, sha256_hex("whole"));
  fs::rename(folder / "base", folder / "moved");
  require_as_recorded(folder / "moved/weights");
}

TEST_F(Recorded, DamageNamesFileFoundExpectedAndRemedy) {
  write("whale");
  expect_error([&] { require_as_recorded(file); },
               {"base/weights: damaged or replaced", sha256_hex("whale"), sha256_hex("whole"),
                "put a whole copy back", "run `moe-train-base` again"});
}

TEST_F(Recorded, AcceptsOlderRecordsWithOneChecksum) {
  Json record = read_json(folder / "base/stage.json");
  record.erase("crc32c");
  write_json(folder / "base/stage.json", record);
  require_as_recorded(file);
  write("whale");
  expect_error([&] { require_as_recorded(file); }, {"damaged or replaced"});
}

TEST_F(Recorded, WhatNoStageWroteIsNotCompared) {
  write_file_atomic(folder / "loose", "x");
  EXPECT_FALSE(recorded(folder / "loose").has_value());
  write_file_atomic(folder / "base/notes", "x");
  EXPECT_FALSE(recorded(folder / "base/notes").has_value());
}

TEST_F(Recorded, UnfinishedIsToldUnlessAllowed) {
  Stage({folder / "base", "moe-train-base", {{"lr", 0.1}}}).reopen();
  expect_error([&] { require_as_recorded(file); }, {"base: not finished", "`moe-train-base`"});
  EXPECT_FALSE(recorded(file, UnfinishedStage::allowed).has_value());
}

TEST_F(Recorded, FieldsOfOtherTypesAreNamed) {
  const fs::path record = folder / "base/stage.json";
  const Json good = read_json(record);
  const std::vector<std::pair<const char*, Json>> bad = {{"command", 5},
                                                         {"version", Json::array()},
                                                         {"machine", 5},
                                                         {"done", "yes"},
                                                         {"done", 1},
                                                         {"seconds", "long"},
                                                         {"inputs", 5},
                                                         {"inputs", nullptr},
                                                         {"results", Json::array()},
                                                         {"outputs", "none"},
                                                         {"outputs", {{"weights", 5}}},
                                                         {"crc32c", Json::array()},
                                                         {"crc32c", {{"weights", 5}}},
                                                         {"kept", Json::array()},
                                                         {"kept", {{"weights", 5}}},
                                                         {"clearing", "weights"},
                                                         {"clearing", Json::array({5})},
                                                         {"warnings", {{"few", "images"}}},
                                                         {"warnings", Json::array({5})}};
  for (const auto& [name, value] : bad) {
    Json changed = good;
    changed[name] = value;
    write_json(record, changed);
    expect_error([&] { read_stage_record(record); },
                 {"stage.json", fmt::format("'{}'", name), "put a whole copy back"});
    EXPECT_THROW(recorded(file, UnfinishedStage::allowed), Error) << name;
  }
  for (const Json& whole : {Json(), Json(5), Json("text"), Json::array({"moe-ingest"})}) {
    write_json(record, whole);
    expect_error([&] { read_stage_record(record); }, {"stage.json", "no object"});
  }
  write_json(record, good);
  EXPECT_EQ(read_stage_record(record).at("results"), Json::object());  // was written as null
}

TEST_F(Recorded, OutputsLieInTheFolder) {
  const fs::path record = folder / "base/stage.json";
  const auto with = [&](const char* field, const std::string& name) {
    Json changed = read_json(record);
    changed[field] = {{name, "ab"}};
    write_json(record, changed);
    return read_stage_record(record);
  };
  for (const char* name : {"train.npy", "experts/0/model.safetensors", "partition/stage.json"}) {
    EXPECT_TRUE(with("outputs", name).at("outputs").contains(name));
  }
  const Json good = read_json(record);
  for (const char* field : {"outputs", "crc32c"}) {
    for (const char* name :
         {"", "..", "../evil", "/etc/passwd", "a//b", "a/../../b", "a/", "a\nb"}) {
      write_json(record, good);
      expect_error([&] { with(field, name); }, {"stage.json", "plain name"});
    }
  }
}

TEST_F(Recorded, AStageOfADamagedRecordIsRefused) {
  const fs::path record = folder / "base/stage.json";
  const Json good = read_json(record);
  for (const auto& [name, value] :
       {std::pair<const char*, Json>{"clearing", Json::array({5})}, {"kept", {{"weights", 5}}}}) {
    Json changed = good;
    changed["done"] = false;
    changed[name] = value;
    write_json(record, changed);
    expect_error(
        [&] {
          Stage({folder / "base", "moe-train-base", {{"lr", 0.1}}});
        },
        {"stage.json", name});
    EXPECT_EQ(read_file(file), "whole");
  }
}

TEST(PlainName, LeadsNowhereElse) {
  for (const char* name : {"train", "val-2", "日本", "a..b", ".hidden"}) {
    EXPECT_NO_THROW(require_plain_name(name, "x"));
  }
  for (const char* name : {"", ".", "..", "../evil", "a/b", "/etc", "a\nb"}) {
    expect_error([&] { require_plain_name(name, "dataset.json"); }, {"dataset.json", "plain name"});
  }
}

}  // namespace
}  // namespace hardmoe
