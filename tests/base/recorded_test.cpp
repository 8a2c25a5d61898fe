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
