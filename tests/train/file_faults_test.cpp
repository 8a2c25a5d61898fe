// What training writes as it goes, where calls on files fail or power is lost.
#include <gtest/gtest.h>

#include "base/files.h"
#include "faulty_files.h"
#include "temporary_folder.h"
#include "train/metrics_log.h"
#include "train/score_rows.h"

namespace hardmoe {
namespace {

TEST(TrainingFaults, TheLogUpToACheckpointSurvivesALossOfPower) {
  const TemporaryFolder folder;
  const auto begin = [&] {
    MetricsLog log(folder.path(), 0);
    log.write({{"step", 10}, {"loss", 3}});
    log.sync();  // a checkpoint at step 10 follows
    log.write({{"step", 20}, {"loss", 2.5}});
  };
  const auto resume = [&] {
    MetricsLog log(folder.path(), 10);
    log.write({{"step", 20}, {"loss", 2}});
    log.sync();
  };
  lose_power_everywhere(folder.path(), begin, resume, [&](bool finished) {
    const std::string first = "{\"step\":10,\"loss\":3}\n", second = "{\"step\":20,\"loss\":2}\n";
    const std::string found = read_file(folder / "log.jsonl");
    EXPECT_TRUE(finished ? found == first + second : found.starts_with(first)) << found;
    resume();
    EXPECT_EQ(read_file(folder / "log.jsonl"), first + second);
  });
}

TEST(TrainingFaults, AFullDiskIsTold) {
  const TemporaryFolder folder;
  FaultyFiles files(folder.path());
  const ScopedFileSystem scoped(files);
  MetricsLog log(folder.path(), 0);
  files.fail_call(1, ENOSPC);
  try {
    log.write({{"step", 10}, {"loss", 3}});
    FAIL() << "a line is written to a full disk";
  } catch (const Error& error) {
    const std::string complaint = error.what();
    EXPECT_NE(complaint.find((folder / "log.jsonl").string()), std::string::npos);
    EXPECT_NE(complaint.find("free some space"), std::string::npos);
  }
}

TEST(TrainingFaults, ScoresThatDoNotFitInMemoryAreReadBackThroughInterruptions) {
  const TemporaryFolder folder;
  FaultyFiles files(folder.path());
  files.trouble_every_call();
  const ScopedFileSystem scoped(files);
  ScoreRows rows(5, 60);  // three rows in memory
  for (int i = 0; i < 20; ++i) rows.add(std::vector<float>(5, static_cast<float>(i)));
  int64_t next = 0;
  rows.for_each([&](int64_t first, int64_t count, std::span<const float> values) {
    EXPECT_EQ(first, next);
    for (int64_t i = 0; i < count * 5; ++i) {
      EXPECT_EQ(values[static_cast<size_t>(i)], static_cast<float>(first + i / 5));
    }
    next += count;
  });
  EXPECT_EQ(next, 20);
}

TEST(TrainingFaults, ATemporaryFileThatCannotBeMadeOrReadIsTold) {
  const TemporaryFolder folder;
  ::setenv("TMPDIR", folder.path().c_str(), 1);
  const int calls = fail_every_call(
      folder.path(), ENOSPC, [] {},
      [] {
        ScoreRows rows(5, 60);
        for (int i = 0; i < 5; ++i) rows.add(std::vector<float>(5, 1));
        rows.for_each([](int64_t, int64_t, std::span<const float>) {});
      },
      [](const std::string& complaint) {
        if (complaint.empty()) return;  // the name that was not removed
        EXPECT_NE(complaint.find("moe-scores"), std::string::npos);
      });
  EXPECT_GE(calls, 4) << "open, remove, write, read";
  ::unsetenv("TMPDIR");
}

}  // namespace
}  // namespace hardmoe
