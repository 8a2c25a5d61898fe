// Messages and progress: on a terminal, elsewhere, and as JSON lines.
#include "base/log.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/json.h"
#include "base/text.h"

namespace hardmoe {
namespace {

TEST(Log, MessagesTakeTheBarsLine) {
  int terminal = -1, end = -1;
  if (::openpty(&terminal, &end, nullptr, nullptr, nullptr) != 0) GTEST_SKIP() << "no terminals";
  const int saved = ::dup(STDERR_FILENO);
  ::dup2(end, STDERR_FILENO);
  {
    Progress progress("training", 10);
    log_warning("before any bar");
    progress.update(10);
    log_warning("one");
    log_info("two");
    progress.update(10);
  }
  log_info("three");
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  ::close(end);
  std::string shown;
  char bytes[4096];
  for (ssize_t got = 0; (got = ::read(terminal, bytes, sizeof bytes)) > 0;) {
    shown.append(bytes, static_cast<size_t>(got));
  }
  ::close(terminal);
  const std::string clear = "\r\033[K";
  EXPECT_TRUE(shown.starts_with("warning: before any bar\r\n" + clear + "training [")) << shown;
  EXPECT_NE(shown.find(clear + "warning: one\r\ntwo\r\n" + clear + "training ["), std::string::npos)
      << shown;
  EXPECT_TRUE(shown.ends_with(clear + "three\r\n")) << shown;
}

/// What an action writes to standard error where that is no terminal.
std::string written(const std::function<void()>& action) {
  testing::internal::CaptureStderr();
  action();
  std::fflush(stderr);
  return testing::internal::GetCapturedStderr();
}

/// The objects of JSON lines that are written while messages have that form.
std::vector<Json> json_lines(const std::function<void()>& action) {
  set_log_format(LogFormat::json);
  const std::string text = written(action);
  set_log_format(LogFormat::text);
  std::vector<Json> objects;
  for (const auto& line : split(trim(text), '\n')) objects.push_back(parse_json(line, "stderr"));
  return objects;
}

TEST(Log, ThereIsNoBarWhereThereIsNoTerminal) {
  const std::string text = written([] {
    Progress progress("training", 10);
    progress.update(5);
    log_warning("one");
    progress.update(10);
  });
  EXPECT_EQ(text, "warning: one\n");
}

TEST(Log, JsonLinesHaveTimeLevelAndMessage) {
  const auto lines = json_lines([] {
    log_info("two \"words\"\n  and a list");
    log_warning("bytes that are not UTF-8: \xff");
    log_failure("moe-eval", "no such file");
  });
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0]["message"], "two \"words\"\n  and a list");
  EXPECT_EQ(lines[0]["level"], "info");
  EXPECT_EQ(lines[1]["level"], "warning");
  EXPECT_EQ(lines[2]["level"], "error");
  EXPECT_EQ(lines[2]["command"], "moe-eval");
  for (const auto& line : lines) {  // ISO 8601
    std::string form = line["time"];
    std::ranges::replace_if(
        form, [](char c) { return c >= '0' && c <= '9'; }, '9');
    EXPECT_EQ(form, "9999-99-99T99:99:99.999Z") << line;
  }
}

TEST(Log, JsonProgressHasItsNumbers) {
  const auto lines = json_lines([] {
    Progress progress("training", 1000, 400);
    progress.update(500, "loss 2.5", {{"loss", 2.5}});  // too soon after the beginning
    progress.update(1000, "loss 2.25", {{"epoch", 2}, {"loss", 2.25}, {"other", std::nan("")}});
  });
  ASSERT_EQ(lines.size(), 1U) << "one at the end";
  EXPECT_EQ(lines[0]["message"], "training");
  EXPECT_EQ(lines[0]["done"], 1000);
  EXPECT_EQ(lines[0]["total"], 1000);
  EXPECT_GT(lines[0]["rate"].get<double>(), 0);
  EXPECT_EQ(lines[0]["seconds_left"], 0);
  EXPECT_EQ(lines[0]["epoch"], 2);
  EXPECT_EQ(lines[0]["loss"], 2.25);
  EXPECT_FALSE(lines[0].contains("other")) << "it is not known";
}

TEST(Log, QuietLeavesOutProgressAsJsonToo) {
  set_log_level(LogLevel::warning);
  const auto lines = json_lines([] {
    Progress("training", 1).update(1);
    log_info("training ended");
    log_warning("one");
  });
  set_log_level(LogLevel::info);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0]["message"], "one");
}

TEST(Log, LinesOfProgressAreSparse) {
  SparseTimes times;
  std::vector<int> told;
  for (int second = 0; second <= 24 * 3600; ++second) {
    if (times.due(second)) told.push_back(second);
  }
  EXPECT_EQ(std::vector<int>(told.begin(), told.begin() + 4), (std::vector<int>{10, 25, 48, 82}));
  EXPECT_LT(told.size(), 170U) << "in a day";
  EXPECT_LE(told.back() - told[told.size() - 2], 600);
}

}  // namespace
}  // namespace hardmoe
