// What is told of a run's stages by their records.
#include "run/status.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

TEST(RunStatus, TellsStagesThatAreDoneBegunAndWaiting) {
  const TemporaryFolder folder;
  std::vector<RunStage> stages;
  for (const char* name : {"base", "partition", "expert 0"}) {
    stages.push_back({.process = {name, {}, {}}, .folder = folder / name});
  }
  for (const char* name : {"base", "partition"}) std::filesystem::create_directories(folder / name);
  write_json(folder / "base/stage.json", {{"done", true}, {"seconds", 12.34}});
  write_json(folder / "partition/stage.json", {{"done", false}});
  const auto states = status_of(stages);
  EXPECT_EQ(states[0].seconds, 12.34);
  EXPECT_EQ(stage_list(states),
            "stage        state\n"
            "base          done\n"
            "partition    begun\n"
            "expert 0   waiting\n");
}

TEST(RunStatus, ADamagedRecordIsNamed) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "stage.json", "{}");
  expect_error(
      [&] {
        status_of({{.process = {"base", {}, {}}, .folder = folder.path()}});
      },
      {"stage.json", "done"});
}

}  // namespace
}  // namespace hardmoe
