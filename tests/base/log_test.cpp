// Messages beside a progress bar on a terminal.
#include "base/log.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

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

}  // namespace
}  // namespace hardmoe
