// Our own JSON is parsed as the library does it, but in time that grows with its length.
#include "base/ordered_json.h"

#include <gtest/gtest.h>

#include <chrono>

#include "expect_error.h"

namespace hardmoe {
namespace {

/// Returns an object of `count` keys of equal length, as text.
std::string object_of(size_t count) {
  std::string text = "{";
  for (size_t i = 0; i < count; ++i) {
    text += fmt::format("{}\"experts/{:06}/model.safetensors\":{}", i > 0 ? "," : "", i, i);
  }
  return text + "}";
}

TEST(OrderedJson, IsWhatTheLibraryParses) {
  for (const char* text :
       {"{}", "[]", "null", "-3", "18446744073709551615", "1.5e3", R"("\u00e9\n")",
        R"({"b": [1, {"z": null, "a": [true, false, []]}, "t"], "a": {}, "c": -0.25})"}) {
    EXPECT_EQ(parse_ordered_json(text).dump(), Json::parse(text).dump()) << text;
    EXPECT_EQ(parse_ordered_json(text), Json::parse(text)) << text;
  }
}

TEST(OrderedJson, FaultsAreTheLibrarys) {
  for (const char* text : {"", "{", "[1,]", R"({"a" 1})", "1 2", "[1e999]", "\"\xff\"", "nul"}) {
    std::string expected;
    try {
      ADD_FAILURE() << Json::parse(text);
    } catch (const nlohmann::json::exception& error) {
      expected = error.what();
    }
    try {
      parse_ordered_json(text);
      ADD_FAILURE() << text;
    } catch (const nlohmann::json::exception& error) {
      EXPECT_EQ(error.what(), expected) << text;
    }
    EXPECT_TRUE(parse_json_line(text).is_null()) << text;
  }
  EXPECT_EQ(parse_json_line(R"({"step": 3})")["step"], 3);
}

TEST(OrderedJson, ManyKeysTakeTimeThatGrowsWithTheirNumber) {
  const std::string text = object_of(most_own_json_keys);
  const auto begin = std::chrono::steady_clock::now();
  const Json json = parse_ordered_json(text);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(json.size(), most_own_json_keys);
  EXPECT_EQ(json.back(), most_own_json_keys - 1);
  EXPECT_LT(took.count(), 2) << "the library's own parser takes 12 s where this takes 0.1";
}

TEST(OrderedJson, IsBounded) {
  expect_error([] { parse_json(object_of(most_own_json_keys + 1), "stage.json"); },
               {"stage.json: ", "more than 131072 keys"});
  const std::string deep(deepest_own_json, '[');
  EXPECT_NO_THROW(parse_json(deep + std::string(deepest_own_json, ']'), "stage.json"));
  expect_error([&] { parse_json(deep + "[", "stage.json"); },
               {"stage.json: ", "deeper than 256 levels"});
  expect_error([] { parse_json(R"({"done": false, "a": 1, "done": true})", "stage.json"); },
               {"stage.json: ", R"(has the key "done" twice)"});
  EXPECT_TRUE(parse_json_line(deep + "[").is_null());
}

TEST(OrderedJson, ManyKeysAreComparedInTimeThatGrowsWithTheirNumber) {
  const Json was = parse_json(object_of(most_own_json_keys), "was");
  Json is = was;
  is["experts/000007/model.safetensors"] = -1;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(json_differences(was, is),
            std::vector<std::string>{"experts/000007/model.safetensors: was 7, is -1"});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took.count(), 2);
}

}  // namespace
}  // namespace hardmoe
