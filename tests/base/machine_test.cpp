// What a machine is called in records.
#include "base/machine.h"

#include <gtest/gtest.h>

#include "base/stage.h"
#include "base/threads.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

TEST(MachineName, TellsHowManyProcessorsThereAre) {
  const int count = available_processors();
  const std::string end = std::to_string(count) + (count == 1 ? " processor" : " processors");
  EXPECT_TRUE(machine_name().ends_with(end)) << machine_name();
}

TEST(MachineName, StandsInTheRecordOfAFinishedStage) {
  const TemporaryFolder folder;
  Stage stage({folder / "out", "moe-test", Json::object()});
  stage.finish({}, Json::object());
  EXPECT_EQ(read_json(folder / "out/stage.json")["machine"], machine_name());
}

}  // namespace
}  // namespace hardmoe
