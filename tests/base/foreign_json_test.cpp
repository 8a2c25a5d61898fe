// JSON as Python writes it, and what is bounded.
#include "base/foreign_json.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "expect_error.h"

namespace hardmoe {
namespace {

TEST(ForeignJson, TakesWhatPythonWrites) {
  // json.dumps of {"a": [nan, {"b": inf}], "c": -inf, "d": "NaN", "NaN": 1}
  const Json value = parse_foreign_json(
      R"({"a": [NaN, {"b": Infinity}], "c": -Infinity, "d": "NaN \"Infinity\" -1", "NaN": 1})");
  EXPECT_EQ(value.dump(), R"({"a":[null,{"b":null}],"c":null,"d":"NaN \"Infinity\" -1","NaN":1})");
  EXPECT_EQ(parse_foreign_json("\xEF\xBB\xBF{\"a\": NaN}")["a"], Json());
  EXPECT_EQ(parse_foreign_json("NaN"), Json());
}

TEST(ForeignJson, KeepsDigitsAndPassesOverWhatNoDoubleHolds) {
  const Json value = parse_foreign_json(
      "[12345678901234567890123, -12345678901234567890123, 123456789012345678, 1e999, -1e999, "
      "1.5e3, 1e-999, -7]");
  EXPECT_EQ(value[0], "12345678901234567890123");
  EXPECT_EQ(value[1], "-12345678901234567890123");
  EXPECT_EQ(value[2], 123456789012345678);
  EXPECT_TRUE(value[3].is_null() && value[4].is_null());
  EXPECT_EQ(value[5], 1500.0);
  EXPECT_EQ(value[6], 0.0);
  EXPECT_EQ(value[7], -7);
  EXPECT_TRUE(parse_foreign_json(std::string(400, '9') + ".5").is_null());
}

TEST(ForeignJson, LastOfEqualKeysCountsAsInPython) {
  EXPECT_EQ(parse_foreign_json(R"({"tags": 1, "x": 0, "tags": [2]})")["tags"], Json({2}));
  std::string many = "{";
  for (int i = 0; i < 5000; ++i) many += fmt::format("\"k{}\":{},", i % 4000, i);
  const Json value = parse_foreign_json(many + "\"end\":0}");
  EXPECT_EQ(value.size(), 4001U);
  EXPECT_EQ(value["k7"], 4007);
}

TEST(ForeignJson, HalvesOfSurrogatePairsAreMarked) {
  const std::string mark(undecodable);
  EXPECT_EQ(parse_foreign_json(
                R"(["a\ud83d", "\ude00b", "\ud83d\ude00", "\\ud83d", "\ud83d\ud83d\ude00"])"),
            Json({"a" + mark, mark + "b", "😀", "\\ud83d", mark + "😀"}));
}

TEST(ForeignJson, IsRefusedWithItsFault) {
  const auto refuse = [](const std::string& text, std::initializer_list<const char*> words) {
    expect_error([&] { parse_foreign_json(text); }, {words.begin(), words.end()});
  };
  refuse("{\"a\": nan}", {"not valid JSON, column 8"});
  refuse("{\"a\": 1", {"not valid JSON", "unexpected end"});
  refuse("\"a\\", {"not valid JSON"});
  refuse("-", {"not valid JSON"});
  refuse("12345678901234567890a", {"not valid JSON"});
  refuse("\"caf\xE9\"", {"not valid JSON", "UTF-8"});
  refuse(std::string("{\0\"\0a\0\"\0:\0001\0}\0", 14), {"UTF-16", "iconv"});
}

TEST(ForeignJson, RefusesWhatIsTooLongTooDeepOrTooMany) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_NO_THROW(parse_foreign_json(nested(deepest_json)));
  expect_error([&] { parse_foreign_json(nested(deepest_json + 1)); }, {"deeper than 256"});
  expect_error([&] { parse_foreign_json(nested(5'000'000)); }, {"deeper than 256"});
  std::string values = "[0";
  for (size_t i = 0; i < most_json_values; ++i) values += ",0";
  expect_error([&] { parse_foreign_json(values + "]"); }, {"more than 250000 values"});
  expect_error([&] { parse_foreign_json(fmt::format("\"{:x<{}}\"", "", longest_json)); },
               {"16777218 bytes", "16777216"});
}

}  // namespace
}  // namespace hardmoe
