// Markup: what comes from outside stays text.
#include "draw/html.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace hardmoe {
namespace {

TEST(EscapeMarkup, LeavesNothingThatABrowserWouldRead) {
  EXPECT_EQ(escape_markup("<script>alert(\"1\")&'</script>"),
            "&lt;script&gt;alert(&quot;1&quot;)&amp;&#39;&lt;/script&gt;");
  EXPECT_EQ(escape_markup("größe 写真 🙂"), "größe 写真 🙂");
}

TEST(EscapeMarkup, ReplacesWhatXmlForbids) {
  EXPECT_EQ(escape_markup(std::string("a\0b\x1b c\x7f", 7)), "a\uFFFDb\uFFFD c\uFFFD");
  EXPECT_EQ(escape_markup("\xff|\xc3"), "\uFFFD|\uFFFD") << "no UTF-8";
  EXPECT_EQ(escape_markup("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD") << "half of a surrogate pair";
  EXPECT_EQ(escape_markup("\uFFFE\uFDD0\u0085"), "\uFFFD\uFFFD\uFFFD") << "no characters";
  EXPECT_EQ(escape_markup("tab\tline\n"), "tab\tline\n");
}

TEST(HtmlTable, EscapesEachCellAndNamesRowsAndColumns) {
  const std::string table = html_table("<c>", {{"tag", "count"}, {"a&b", "3"}, {"short"}});
  EXPECT_NE(table.find("<caption>&lt;c&gt;</caption>"), std::string::npos) << table;
  EXPECT_NE(table.find("<th scope=\"col\">tag</th><th scope=\"col\">count</th>"),
            std::string::npos);
  EXPECT_NE(table.find("<th scope=\"row\">a&amp;b</th><td>3</td>"), std::string::npos);
  EXPECT_NE(table.find("<th scope=\"row\">short</th><td></td>"), std::string::npos);
}

TEST(DataUri, IsBase64OfTheBytes) {
  // The vectors of RFC 4648, section 10.
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(data_uri("image/png", bytes), std::string("data:image/png;base64,") + text);
  }
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(base64_decoded(data_uri("", all).substr(13)), all);
}

TEST(Shortened, CutsBetweenCharacters) {
  EXPECT_EQ(shortened("写真写真", 4), "写真写真");
  EXPECT_EQ(shortened("写真写真", 3), "写真…");
  EXPECT_EQ(shortened("", 3), "");
}

}  // namespace
}  // namespace hardmoe
