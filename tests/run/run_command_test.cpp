// Short commands of other programs: what they say, and how they end.
#include "run/run_command.h"

#include <gtest/gtest.h>

namespace hardmoe {
namespace {

TEST(RunCommand, ReturnsWhatItSaysAndHowItEnds) {
  const CommandResult said = run_command({"sh", "-c", "cat; echo out; echo err >&2; exit 3"});
  EXPECT_EQ(said.exit_status, 3);
  EXPECT_EQ(said.out, "out\n");
  EXPECT_EQ(said.err, "err\n");
  EXPECT_EQ(run_command({"sh", "-c", "kill -KILL $$"}).exit_status, 137);
  EXPECT_EQ(run_command({"/nowhere/sbatch"}).exit_status, 127);
  const CommandResult much = run_command({"sh", "-c", "yes | head -c 1000000"});
  EXPECT_EQ(much.out.size(), 1'000'000U);
}

}  // namespace
}  // namespace hardmoe
