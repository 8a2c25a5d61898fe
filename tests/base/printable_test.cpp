// What a terminal may get.
#include "base/printable.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "base/text.h"

namespace hardmoe {
namespace {

TEST(Printable, ControlCharactersAndWhatIsNoUtf8AreReplaced) {
  EXPECT_EQ(printable("a\033[31mb"), "a_[31mb");
  EXPECT_EQ(printable("x\ty\nz\x7f"), "x_y_z_");
  EXPECT_EQ(printable("\xC2\x9B"
                      "2J"),
            "_2J")
      << "a control sequence's beginning in one character";
  EXPECT_EQ(printable("\xC2\xA0é\xE6\xBC\xA2"), "\xC2\xA0é\xE6\xBC\xA2");
  EXPECT_EQ(printable("\xFF\xC3"), "__");
  EXPECT_EQ(printable_lines("x\ty\nz\r"), "x\ty\nz_");
}

TEST(Printable, MessagesAndTablesAreSo) {
  testing::internal::CaptureStderr();
  log_info("{}:\n  {}", "tag\033]0;title\007", "second");
  log_failure("moe-test", "a\033b");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "tag_]0;title_:\n  second\nmoe-test: a_b\n");
  EXPECT_EQ(format_table({{"a\033", "b"}, {"c", "dd"}}), "a_   b\nc   dd\n");
}

}  // namespace
}  // namespace hardmoe
