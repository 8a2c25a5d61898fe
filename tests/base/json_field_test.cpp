#include "base/json_field.h"

#include <gtest/gtest.h>

#include <limits>

#include "expect_error.h"

namespace hardmoe {
namespace {

const Json record = {{"n", 3},          {"x", 1.5},      {"s", "t"},
                     {"o", {{"a", 1}}}, {"l", {1, "b"}}, {"far", int64_t{1} << 40}};

TEST(JsonGetOr, TakesWhatIsAbsentAsGivenAndRefusesOtherTypes) {
  EXPECT_EQ(json_get_or(record, "n", int64_t{7}, "a.json"), 3);
  EXPECT_EQ(json_get_or(record, "none", int64_t{7}, "a.json"), 7);
  EXPECT_EQ(json_get_or(record, "none", std::string("usual"), "a.json"), "usual");
  expect_error([] { json_get_or(record, "s", 0.0, "a.json"); },
               {"a.json: field 's' holds string, expected number"});
  expect_error([] { json_get_or(record, "l", std::string(), "a.json"); },
               {"a.json: field 'l' holds array, expected string"});
  expect_error([] { json_get_or(Json(3), "n", 0.0, "a.json"); }, {"a.json: field 'n' is missing"});
}

TEST(JsonObject, IsWalkedInPlace) {
  EXPECT_EQ(&json_object(record, "o", "a.json"), &record["o"]);
  EXPECT_EQ(&json_list(record, "l", "a.json"), &record["l"]);
  expect_error([] { json_object(record, "l", "a.json"); },
               {"a.json: field 'l' holds array, expected object"});
  expect_error([] { json_list(record, "o", "a.json"); },
               {"a.json: field 'o' holds object, expected array"});
  expect_error([] { json_object(record, "none", "a.json"); }, {"field 'none' is missing"});
  expect_error([] { json_list(Json("text"), "l", "a.json"); }, {"field 'l' is missing"});
}

TEST(JsonInt, RefusesWhatDoesNotFit) {
  EXPECT_EQ(json_int(record, "n", "a.json"), 3);
  EXPECT_EQ(json_int(Json{{"n", std::numeric_limits<int>::min()}}, "n", "a.json"),
            std::numeric_limits<int>::min());
  expect_error([] { json_int(record, "far", "a.json"); },
               {"a.json: field 'far' is 1099511627776, expected -2147483648 to 2147483647"});
  expect_error(
      [] {
        json_int(Json{{"n", UINT64_MAX}}, "n", "a.json");
      },
      {"'n' is 1844674407370955"});
  expect_error([] { json_int(record, "x", "a.json"); }, {"'x' is not a whole number"});
}

TEST(JsonGet, TellsWhatAnEntryOfAListHolds) {
  expect_error([] { json_get<std::vector<int64_t>>(record, "l", "a.json"); },
               {"a.json: field 'l' holds string, expected number"});
}

}  // namespace
}  // namespace hardmoe
