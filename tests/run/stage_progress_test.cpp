// What is said of running stages.
#include "run/stage_progress.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/text.h"
#include "run/stage_messages.h"

namespace hardmoe {
namespace {

TEST(StageProgress, SaysHowFarAStageIs) {
  EXPECT_EQ(progress_text({"expert 0", {}}), "expert 0");
  const Json told = {{"done", 420}, {"total", 1000}, {"seconds_left", 35.2}, {"loss", 3.25}};
  EXPECT_EQ(progress_text({"expert 0", told}), "expert 0 42%, loss 3.2500, 35 s left");
  EXPECT_EQ(progress_text({"a", {{"done", 1}, {"total", 8}, {"seconds_left", 600}}}),
            "a 12%, 10 min left");
  EXPECT_EQ(progress_text({"a", {{"done", 1}, {"total", 8}, {"seconds_left", 9000}}}),
            "a 12%, 2.5 h left");
  EXPECT_EQ(progress_text({"a", {{"done", 8}, {"total", 8}, {"seconds_left", 0}}}), "a 100%");
}

TEST(StageMessages, TakeWholeLines) {
  StageMessages messages;
  const auto write = [&](std::string_view text) {
    ASSERT_EQ(::write(messages.writing_end(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  };
  messages.read();
  EXPECT_TRUE(messages.progress().is_null());
  write("{\"done\":1,\"total\":8}\n{\"done\":2,\"tot");
  messages.read();
  EXPECT_EQ(messages.progress()["done"], 1);
  write(
      "al\":8}\nnot "
      "ours\n{\"done\":\"x\",\"total\":1}\n{\"level\":\"error\",\"message\":\"why\"}\n");
  messages.read();
  EXPECT_EQ(messages.progress()["done"], 2);
  EXPECT_EQ(messages.failure(), "why");
}

}  // namespace
}  // namespace hardmoe
