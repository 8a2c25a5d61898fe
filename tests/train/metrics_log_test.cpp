// log.jsonl: a line a report, and none twice after a resumption.
#include "train/metrics_log.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/files.h"
#include "base/text.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

std::vector<int> steps_in(const fs::path& file) {
  std::vector<int> steps;
  for (const auto& line : split(trim(read_file(file)), '\n')) {
    if (!line.empty()) steps.push_back(Json::parse(line).at("step"));
  }
  return steps;
}

int64_t event_files(const fs::path& folder) {
  int64_t count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    count += entry.path().filename().string().starts_with("events.out.tfevents.") ? 1 : 0;
  }
  return count;
}

TEST(MetricsLog, ResumingDropsWhatIsWrittenAgain) {
  const TemporaryFolder folder;
  {
    MetricsLog log(folder.path(), 0);
    for (const int step : {10, 20, 30}) log.write({{"step", step}, {"loss", 1.0 / step}});
  }
  EXPECT_EQ(read_file(folder / "log.jsonl").substr(0, 25), "{\"step\":10,\"loss\":0.1}\n{\"");
  std::ofstream(folder / "log.jsonl", std::ios::app) << R"({"step":40,"lo)";  // cut off by a kill
  {
    MetricsLog log(folder.path(), 20);  // the checkpoint was saved at step 20
    log.write({{"step", 30}, {"loss", 0.5}});
  }
  EXPECT_EQ(steps_in(folder / "log.jsonl"), (std::vector<int>{10, 20, 30}));
  EXPECT_EQ(Json::parse(split(read_file(folder / "log.jsonl"), '\n')[2])["loss"], 0.5);
}

TEST(MetricsLog, AFreshStartDropsEverything) {
  const TemporaryFolder folder;
  MetricsLog(folder.path(), 0).write({{"step", 10}, {"loss", 1}});
  MetricsLog log(folder.path(), 0);
  EXPECT_EQ(read_file(folder / "log.jsonl"), "");
  EXPECT_EQ(event_files(folder.path()), 1) << "the curve of the run that came to nothing is left";
}

TEST(MetricsLog, ALineNeedsItsStep) {
  const TemporaryFolder folder;
  MetricsLog log(folder.path(), 0);
  expect_error([&] { log.write({{"loss", 1}}); }, {"log.jsonl", "'step'"});
}

}  // namespace
}  // namespace hardmoe
