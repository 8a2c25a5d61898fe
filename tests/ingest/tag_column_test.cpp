// Columns of tags: lists as programs write them (references/make_lists.py), and separators.
#include "ingest/sources/tag_column.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "ingest/sources/list_text.h"
#include "test_files.h"

namespace hardmoe {
namespace {
using Strings = std::vector<std::string>;
using Kind = ListText::Kind;

/// What a column of those texts, each `times` as often, makes of them.
struct Reading {
  explicit Reading(const std::vector<std::pair<std::string, int>>& texts,
                   const std::string& separator = "")
      : column("column 'tags'", separator) {
    for (const auto& [text, times] : texts) {
      for (int i = 0; i < times; ++i) column.look_at(text);
    }
    column.decide();
    column.report_to(report);
  }
  Strings tags(const std::string& text) const {
    Strings found;
    EXPECT_EQ(column.read(text, found), "") << text;
    return found;
  }
  std::string fault(const std::string& text) const {
    Strings found;
    return column.read(text, found);
  }
  std::string facts() const { return join(report.facts, "\n"); }
  std::string warnings() const { return join(report.warnings, "\n"); }

  TagColumn column;
  SourceReport report;
};

TEST(ListText, QuotedElementsStandAlone) {
  for (const char* text : {"['a'; 'b']", "['a'|'b']", "['a' b]"}) {
    EXPECT_EQ(parse_list_text(text, 100).kind, Kind::broken) << text;
  }
  EXPECT_EQ(parse_list_text("['a', None, 3]", 100).elements, (Strings{"a", "3"}));
  EXPECT_EQ(parse_list_text("{a,\"b c\"}", 100).elements, (Strings{"a", "b c"}));
}

TEST(TagColumn, NumbersWithNamesAreNoWarning) {
  SourceReport report;
  TagColumn column("column 'tags'", "", true);
  column.look_at("3");
  column.decide();
  column.report_to(report);
  EXPECT_TRUE(report.warnings.empty());
  EXPECT_NE(Reading({{"3", 5}}).warnings(), "");
}

void expect_within(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part << " is not in:\n" << text;
}

const Json& list_texts() {
  static const Json texts = read_json(test_files() / "lists/texts.json");
  return texts;
}

TEST(ListText, IsReadAsProgramsWriteIt) {
  for (const char* kind : {"quoted", "bare"}) {
    for (const Json& item : list_texts()[kind]) {
      SCOPED_TRACE(item["by"]);
      const ListText list = parse_list_text(item["text"].get<std::string>(), 100);
      EXPECT_EQ(list.kind, kind == std::string("quoted") ? Kind::quoted : Kind::bare) << list.fault;
      EXPECT_EQ(list.elements, item["tags"].get<Strings>());
    }
  }
  for (const Json& item : list_texts()["broken"]) {
    SCOPED_TRACE(item["by"]);
    EXPECT_EQ(parse_list_text(item["text"].get<std::string>(), 100).kind, Kind::broken);
  }
}

TEST(ListText, IsReadAsPostgresAndJavaWriteIt) {
  // PostgreSQL 15's documentation, 8.15.6: quotes around elements with braces, commas, quotes,
  // backslashes, blanks, and around the word NULL.
  EXPECT_EQ(parse_list_text(R"({a,"b c","say \"hi\"","back\\slash",NULL,"NULL"})", 100).elements,
            (Strings{"a", "b c", "say \"hi\"", "back\\slash", "NULL"}));
  EXPECT_EQ(parse_list_text("{dog,beach}", 100).elements, (Strings{"dog", "beach"}));
  EXPECT_EQ(parse_list_text("{dog,beach}", 100).kind, Kind::bare);
  EXPECT_EQ(parse_list_text("{}", 100).kind, Kind::quoted);
  EXPECT_EQ(parse_list_text("[new york, it's, 3]", 100).elements,
            (Strings{"new york", "it's", "3"}));
}

TEST(ListText, IsNotSeenInOrdinaryTags) {
  for (const char* text : {"dog", "", "[", "{", "(disambiguation)", "[x] y", "{x", "x]", "('90s",
                           "rock'n'roll", "set(table", "list(en)", "a [b]", "[a] and [b", "()("}) {
    EXPECT_EQ(parse_list_text(text, 100).kind, Kind::none) << text;
  }
  EXPECT_EQ(parse_list_text("[untitled]", 100).kind, Kind::bare);
}

TEST(ListText, StopsWhereItIsTooLong) {
  std::string text = "[";
  for (int i = 0; i < 1000; ++i) text += "'x',";
  EXPECT_EQ(parse_list_text(text + "]", 10).elements.size(), 11U);
}

TEST(ListText, HoldsThePathOfHuggingFacesImages) {
  EXPECT_EQ(path_of_image_text("{'bytes': None, 'path': 'a/b\\'s.png'}"), "a/b's.png");
  EXPECT_EQ(path_of_image_text("{'bytes': b'\\x89PNG', 'path': 'a.png'}"), "");
  EXPECT_EQ(path_of_image_text("{'bytes': None, 'path': None}"), "");
  EXPECT_EQ(path_of_image_text("a.png"), std::nullopt);
}

TEST(TagColumn, HasOneSeparator) {
  const Reading commas({{"dog, beach", 30}, {"golden retriever", 60}, {"a; b", 1}});
  EXPECT_EQ(commas.tags("golden retriever"), Strings{"golden retriever"});
  EXPECT_EQ(commas.tags(" new york,, nyc\nparis,"), (Strings{"new york", "nyc", "paris"}));
  expect_within(commas.facts(), "column 'tags': tags separated by ',', in 30 of 91 texts");
  expect_within(commas.warnings(), "1 of 91 texts have ';' and no ',' ('a; b')");
  const Reading semicolons({{"new york, ny; beach", 6}, {"washington, d.c.", 3}, {"sun", 3}});
  EXPECT_EQ(semicolons.tags("washington, d.c."), Strings{"washington, d.c."});
  EXPECT_EQ(semicolons.tags("a b ;c"), (Strings{"a b", "c"}));
  expect_within(semicolons.warnings(), "3 of 12 texts have ',' and no ';' ('washington, d.c.')");
  EXPECT_EQ(Reading({{"tom &amp; jerry, cat", 5}, {"x", 5}}).tags("a &#39;b&#39;, c; d"),
            (Strings{"a &#39;b&#39;", "c; d"}));
  EXPECT_EQ(Reading({{"a|b", 2}, {"c", 9}}).tags("x y|z"), (Strings{"x y", "z"}));
  EXPECT_EQ(Reading({{"a, b; c, d", 5}}).tags("a, b; c"), (Strings{"a, b", "c"})) << "equal: ';'";
  EXPECT_EQ(Reading({{"new york\nparis, texas", 1}}).tags("a b\nc"), (Strings{"a b", "c"}));
}

TEST(TagColumn, BlanksSeparateWhereLessThanOneInAHundredHasAnother) {
  const Reading blanks({{"dog beach", 996}, {"a,b", 4}});
  EXPECT_EQ(blanks.tags("golden retriever"), (Strings{"golden", "retriever"}));
  expect_within(blanks.facts(), "tags separated by blanks, in 996 of 1,000 texts ('dog beach')");
  expect_within(blanks.warnings(), "4 of 1,000 texts have ',' ('a,b'), but blanks separate");
  expect_within(blanks.warnings(), "--tag-separator");
  EXPECT_EQ(Reading({{"dog beach", 990}, {"a,b", 10}}).tags("golden retriever"),
            Strings{"golden retriever"});
  expect_within(Reading({{"golden retriever", 5}}).warnings(),
                "blanks separate tags ('golden retriever')");
  EXPECT_EQ(Reading({{"golden retriever", 5}}, " ").warnings(), "");
  EXPECT_EQ(Reading({{"dog", 5}}).warnings(), "");
  EXPECT_EQ(Reading({}).facts(), "");
}

TEST(TagColumn, TakesTheSeparatorAskedFor) {
  const Reading asked({{"a,b", 9}}, ";|");
  EXPECT_EQ(asked.tags("a,b;c|d"), (Strings{"a,b", "c", "d"}));
  EXPECT_EQ(asked.tags("{a,b}"), Strings{"{a,b}"});
  EXPECT_EQ(asked.tags("['a', 'b']"), (Strings{"a", "b"}));
  expect_within(asked.facts(), "any of ';|' (--tag-separator)");
}

TEST(TagColumn, IsOfListsOrOfTexts) {
  const Reading lists({{"{a,b}", 200}, {"{}", 3}, {"x", 1}});
  EXPECT_EQ(lists.tags("{new,[untitled]}"), Strings({"new", "[untitled]"})) << "as it stands";
  EXPECT_EQ(lists.tags("['a']"), Strings{"a"});
  expect_within(lists.facts(), "lists as text in 203 of 204 texts");
  expect_within(lists.fault("x"), "'x' is no list, as the others are; --tag-separator");
  const Reading texts({{"a, b", 50}, {"[untitled]", 2}, {"{a,b}", 1}});
  EXPECT_EQ(texts.tags("[untitled]"), Strings{"[untitled]"});
  EXPECT_EQ(texts.tags("['a', 'b']"), (Strings{"a", "b"})) << "surely a list";
  expect_within(texts.fault("{a,b}"), "looks like a list, the others do not; --tag-separator");
  expect_within(texts.fault("{'a': 0.9}"), "begins as a list, but it is a dictionary");
  expect_within(texts.fault("['a' 'b' ... 'c']"), "NumPy left out");
  expect_within(texts.warnings(), "3 of 53 texts look like lists ('[untitled]')");
}

TEST(TagColumn, OfNumbersIsDoubted) {
  expect_within(Reading({{"0", 3}, {"12", 4}}).warnings(), "--label-names FILE gives them names");
  EXPECT_EQ(Reading({{"0", 3}, {"a", 4}}).warnings(), "");
}

TEST(TagColumn, StopsAtTheLimit) {
  std::string text;
  for (size_t i = 0; i < most_tags + 100; ++i) text += "x,";
  EXPECT_EQ(Reading({{text, 1}}).tags(text).size(), most_tags + 1);
}

}  // namespace
}  // namespace hardmoe
