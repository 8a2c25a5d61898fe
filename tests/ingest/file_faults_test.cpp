// Ingests where calls on files fail or power is lost: the same command goes on to the same bytes.
#include <gtest/gtest.h>

#include <map>

#include "base/log.h"
#include "base/threads.h"
#include "data/dataset.h"
#include "data/part_shards.h"
#include "faulty_files.h"
#include "ingest/ingest.h"
#include "small_dataset.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

class IngestFaults : public testing::Test {
 protected:
  IngestFaults() {
    set_log_level(LogLevel::quiet);
    fs::create_directories(folder / "in");
    fs::create_directories(root);
    write_numbered_tar(folder / "in/a.tar", 12, 5, 5);
    options.sources = {(folder / "in/a.tar").string()};
    options.out = folder / "whole";
    options.val_fraction = 0.3;
    options.resize = 4;
    set_compute_threads(1);
    options.shard_bytes = 6000;
    options.checkpoint_seconds = 0;  // after each image
    ingest(options);
    expected = files_of(options.out);
    options.out = root / "data";
  }
  ~IngestFaults() override {
    set_compute_threads(threads_before);
    set_log_level(LogLevel::info);
  }

  /// Of a dataset, but the lock, stage.json (which tells the time) and work that is not all
  /// removed, by name.
  static std::map<std::string, std::string> files_of(const fs::path& data) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(data)) {
      const std::string name = entry.path().lexically_relative(data).string();
      if (entry.is_regular_file() && name != ".lock" && name != "stage.json" &&
          !name.starts_with("work/")) {
        files[name] = read_file(entry.path());
      }
    }
    return files;
  }

  /// Every file that its record lists is as recorded.
  static void expect_whole(const fs::path& data) {
    const Dataset opened = Dataset::open(data);
    for (const auto& name : opened.split_names()) opened.split(name).require_index();
    const Json record = read_json(data / "dataset.json");
    for (const Json& shard : record.at("shards")) {
      EXPECT_EQ(sha256_of_file(data / shard.at("path").get<std::string>()), shard.at("sha256"));
    }
  }

  TemporaryFolder folder;
  fs::path root = folder / "root";  // where the faults are
  int threads_before = compute_threads();
  IngestOptions options;
  std::map<std::string, std::string> expected;
};

TEST_F(IngestFaults, PowerLostAnywhereItEndsWithTheSameBytes) {
  const int changes = lose_power_everywhere(
      root, [] {}, [&] { ingest(options); },
      [&](bool finished) {
        const IngestResult again = ingest(options);
        EXPECT_TRUE(again.was_done || !finished);
        EXPECT_EQ(files_of(options.out), expected);
      },
      97);
  EXPECT_GT(changes, 150);
}

TEST_F(IngestFaults, WhicheverCallFailsTheErrorNamesAFileAndTheNextRunGoesOn) {
  const int calls = fail_every_call(
      root, ENOSPC, [] {}, [&] { ingest(options); },
      [&](const std::string& complaint) {
        if (!complaint.empty()) {
          EXPECT_NE(complaint.find(folder.path().string()), std::string::npos);
        }
        ingest(options);
        EXPECT_EQ(files_of(options.out), expected);
      },
      97);
  EXPECT_GT(calls, 300);
}

// What moe-partition --write-shards does without its stage.
TEST_F(IngestFaults, ADatasetLaidOutByPartsIsWholeOnceItHasItsRecord) {
  const Dataset data = Dataset::open(folder / "whole");
  std::vector<std::vector<int64_t>> parts(2);
  for (int64_t i = 0; i < data.split("train").size(); ++i) {
    parts[static_cast<size_t>(i % 2)].push_back(i);
  }
  const fs::path out = root / "parts";
  const auto run = [&] { write_part_shards(data, parts, out, 4000); };
  const auto check = [&] {
    if (fs::exists(out / "dataset.json")) expect_whole(out);
    run();
    expect_whole(out);
  };
  lose_power_everywhere(
      root, [] {}, run,
      [&](bool finished) {
        EXPECT_TRUE(!finished || fs::exists(out / "dataset.json"));
        check();
      },
      19);
  fail_every_call(
      root, EIO, [] {}, run, [&](const std::string&) { check(); }, 41);
}

}  // namespace
}  // namespace hardmoe
