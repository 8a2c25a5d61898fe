#include "base/json.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/text.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

std::vector<std::string> differences(const char* was, const char* is) {
  return json_differences(parse_json(was, "was"), parse_json(is, "is"));
}
using Lines = std::vector<std::string>;

TEST(JsonDifferences, NamesEveryLeafThatDiffers) {
  EXPECT_EQ(differences(R"({"a": 1, "b": {"c": "x", "d": [1, 2]}})",
                        R"({"b": {"c": "y", "d": [1, 3]}, "a": 1})"),
            (Lines{R"(b.c: was "x", is "y")", "b.d.1: was 2, is 3"}));
  EXPECT_EQ(differences(R"({"a": {"b": 1}})", R"({"c": true})"),
            (Lines{"a.b: was 1, is absent", "c: was absent, is true"}));
  EXPECT_EQ(differences("1", "2"), Lines{"value: was 1, is 2"});
}

TEST(JsonDifferences, OrderOfKeysAndKindOfNumberDoNotMatter) {
  EXPECT_EQ(differences(R"({"a": 1, "b": 2.0})", R"({"b": 2, "a": 1.0})"), Lines{});
}

TEST(JsonDifferences, EmptyIsNotAbsent) {
  EXPECT_EQ(differences(R"({"a": []})", "{}"), Lines{"a: was [], is absent"});
  EXPECT_EQ(differences("{}", R"({"a": null})"), Lines{"a: was absent, is null"});
  EXPECT_EQ(differences(R"({"a": {}})", R"({"a": []})"), Lines{"a: was {}, is []"});
  EXPECT_EQ(differences(R"({"a": [1]})", R"({"a": [1, 2]})"), Lines{"a: was [1], is [1,2]"});
}

TEST(JsonDifferences, KeysMayBePaths) {
  EXPECT_EQ(differences(R"({"data/a.tar": 1})", R"({"data/a.tar": 2})"),
            Lines{"data/a.tar: was 1, is 2"});
}

TEST(ParseJson, NamesWhereAndPosition) {
  expect_error([] { parse_json("{\"a\": }", "model.json"); },
               {"model.json: not valid JSON, column 7: unexpected '}'; expected '['"});
  expect_error([] { parse_json("{\n\"a\" 1}", "model.json"); },
               {"model.json: not valid JSON, line 2, column 5: ", "expected ':'"});
  expect_error([] { parse_json("", "model.json"); }, {"model.json", "column 1", "end of input"});
  expect_error([] { parse_json("[1e999]", "model.json"); }, {"model.json", "overflow", "1e999"});
  // What was read last is not told whole, and no character is cut.
  for (const size_t more : {0, 1}) {
    std::string text = "[\"" + std::string(more, 'x');
    for (int i = 0; i < 200; ++i) text += "é";
    try {
      parse_json(text, "model.json");
      FAIL();
    } catch (const Error& error) {
      EXPECT_LT(std::string(error.what()).size(), 260U);
      EXPECT_FALSE(fold_case(error.what()).empty()) << "not UTF-8";
    }
  }
}

TEST(JsonGet, NamesTheField) {
  const Json json = parse_json(R"({"n": 3, "x": 1.5, "s": "t", "m": -1})", "x");
  EXPECT_EQ(json_get<int>(json, "n", "x"), 3);
  EXPECT_EQ(json_get<double>(json, "n", "x"), 3);
  EXPECT_EQ(json_get<uint64_t>(Json{{"n", 3}}, "n", "x"), 3U);
  expect_error([&] { json_get<int>(json, "none", "a.json"); }, {"a.json", "'none' is missing"});
  expect_error([&] { json_get<int>(json, "s", "a.json"); }, {"a.json", "'s'"});
  expect_error([&] { json_get<int>(json, "x", "a.json"); }, {"'x' is not a whole number"});
  expect_error([&] { json_get<uint64_t>(json, "m", "a.json"); }, {"'m' is negative"});
  expect_error([] { json_get<int>(Json(3), "n", "a.json"); }, {"'n' is missing"});
}

TEST(WriteJson, TakesNamesThatAreNotUtf8) {
  const TemporaryFolder folder;
  write_json(folder / "a.json", {{"file", "caf\xE9"}});
  EXPECT_EQ(read_file(folder / "a.json"), "{\n  \"file\": \"caf\uFFFD\"\n}\n");
}

}  // namespace
}  // namespace hardmoe
