// Objects and texts of one source are read alike.
#include "ingest/sources/metadata.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace hardmoe {
namespace {
using Strings = std::vector<std::string>;

TEST(MetadataReader, DecidesForAllItLookedAt) {
  MetadataReader reader({});
  for (const char* text : {"golden retriever", "dog, beach\n", "\xEF\xBB\xBF"}) {
    reader.look_at_text(text);
  }
  for (const char* text : {R"({"tags": "new york; paris", "truth": "x y"})", "damaged",
                           "\xEF\xBB\xBF{\"tags\": \"a\"}", R"({"tags": ["as, it; stands"]})"}) {
    reader.look_at_json(text);
  }
  SourceReport report;
  reader.decide(report);
  EXPECT_EQ(report.facts,
            (Strings{"field 'tags': tags separated by ';', in 1 of 2 texts",
                     "field 'truth': tags separated by blanks, in 1 of 1 texts ('x y')",
                     "texts beside images: tags separated by ',', in 1 of 2 texts"}));
  SourceItem item;
  reader.read_text("\xEF\xBB\xBFgolden retriever\n", item);
  EXPECT_EQ(item.tags, Strings{"golden retriever"});
  item = {};
  reader.read_json(R"({"tags": "new york, big apple", "truth": "a b"})", item);
  EXPECT_EQ(item.tags, Strings{"new york, big apple"});
  EXPECT_EQ(item.truth, (Strings{"a", "b"}));
  item = {};
  reader.read_json(R"({"tags": ["as, it; stands", 7, null]})", item);
  EXPECT_EQ(item.tags, (Strings{"as, it; stands", "7"}));
  EXPECT_EQ(item.truth, std::nullopt);
}

TEST(MetadataReader, TellsFaultsInTheItem) {
  const auto fault = [](std::string_view text) {
    SourceItem item;
    read_json_metadata(text, {}, item);
    EXPECT_EQ(item.rejection, Rejection::unreadable_tags);
    return item.detail;
  };
  EXPECT_EQ(fault("[1]"), "expected a JSON object, found array");
  EXPECT_EQ(fault(R"({"tags": {"a": 1}})"), "'tags': expected a list of strings, found object");
  EXPECT_EQ(fault(R"({"tags": ["a\ud83d"]})"), "a tag that is not Unicode text, 'a\uFDD0'");
  EXPECT_NE(fault(R"({"tags": "{'a': 1}"})").find("it is a dictionary"), std::string::npos);
  SourceItem item;
  read_tag_text("a\xE9", {}, item);
  EXPECT_NE(item.detail.find("not UTF-8, byte 0xE9"), std::string::npos) << item.detail;
  item = {};
  read_tag_text(std::string_view("\xFF\xFE"
                                 "a\0b\0",
                                 6),
                {}, item);
  EXPECT_NE(item.detail.find("UTF-16"), std::string::npos) << item.detail;
}

}  // namespace
}  // namespace hardmoe
