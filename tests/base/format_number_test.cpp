// Format numbers: what is read, what is refused and with which words.
#include "base/format_number.h"

#include <gtest/gtest.h>

#include "expect_error.h"

namespace hardmoe {
namespace {

constexpr FileFormat third{"gater", 3};

TEST(FormatNumber, TextNamesKindAndNewestNumber) {
  EXPECT_EQ(format_text(third), "hardmoe gater 3");
}

TEST(FormatNumber, KnownNumbersAreReadAndAnAbsentOneIsOne) {
  EXPECT_EQ(require_format(third, "hardmoe gater 1", "f"), 1);
  EXPECT_EQ(require_format(third, "hardmoe gater 3", "f"), 3);
  EXPECT_EQ(require_format(third, "", "f"), 1);
  EXPECT_EQ(require_json_format(third, Json{{"format", "hardmoe gater 2"}}, "f"), 2);
  EXPECT_EQ(require_json_format(third, Json::object(), "f"), 1);
}

TEST(FormatNumber, ANewerOneIsRefusedWithWhatToDo) {
  expect_error(
      [] { require_format(third, "hardmoe gater 4", "run/gater.safetensors"); },
      {"run/gater.safetensors", "'hardmoe gater 4'", "'hardmoe gater 3'", "update hardmoe"});
}

TEST(FormatNumber, AnotherKindOrNoNumberIsRefused) {
  for (const char* text : {"hardmoe dataset 1", "pt", "hardmoe gater", "hardmoe gater ",
                           "hardmoe gater 0", "hardmoe gater -1", "hardmoe gater 1.5",
                           "hardmoe gater 99999999999", "Hardmoe gater 1", "hardmoe gater 1 "}) {
    expect_error([&] { require_format(third, text, "f"); }, {text, "another kind of file"});
  }
  expect_error([] { require_json_format(third, Json{{"format", 1}}, "f"); }, {"field 'format'"});
}

}  // namespace
}  // namespace hardmoe
