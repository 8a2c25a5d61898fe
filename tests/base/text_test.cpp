#include "base/text.h"

#include <gtest/gtest.h>

#include <fstream>

#include "expect_error.h"
#include "test_files.h"

namespace hardmoe {
namespace {

TEST(FoldCase, FollowsUnicode) {
  EXPECT_EQ(fold_case("Sunset"), "sunset");
  // Each from CaseFolding.txt (status C and F) and UnicodeData.txt's compatibility mappings.
  EXPECT_EQ(fold_case("STRASSE"), "strasse");
  EXPECT_EQ(fold_case("Straße"), "strasse");
  EXPECT_EQ(fold_case("STRAẞE"), "strasse");
  EXPECT_EQ(fold_case("İstanbul"), "i\u0307stanbul");  // not the Turkish i: folding has no locale
  EXPECT_EQ(fold_case("ΣΊΣΥΦΟΣ"), fold_case("σίσυφος"));  // both sigmas
  EXPECT_EQ(fold_case("ﬁﬂ"), "fifl");
  EXPECT_EQ(fold_case("ＡＢＣ１"), "abc1");
  EXPECT_EQ(fold_case("x²"), "x2");
  EXPECT_EQ(fold_case("ÉTÉ"), "été");
}

TEST(FoldCase, ComposesWhatWasDecomposed) {
  EXPECT_EQ(fold_case("Cafe\u0301"), "caf\u00E9");
  EXPECT_EQ(fold_case("\uD55C"), fold_case("\u1112\u1161\u11AB"));  // Hangul, by algorithm
}

std::string of_hexadecimal(const std::string& digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

/// 1,465 strings by ICU 72 (references/make_lists.py); all code points were compared once.
TEST(FoldCase, IsNfkcCasefoldOfIcu) {
  std::ifstream lines(test_files() / "lists/casefold.txt");
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const size_t blank = line.find(' ');
    EXPECT_EQ(fold_case(of_hexadecimal(line.substr(0, blank))),
              of_hexadecimal(line.substr(blank + 1)))
        << line;
  }
  EXPECT_GT(count, 1000);
}

TEST(FoldCase, PassesOverWhatIsNotSeen) {
  EXPECT_EQ(fold_case("sun\u200Bset"), "sunset");        // zero-width space
  EXPECT_EQ(fold_case("sun\u00ADset"), "sunset");        // soft hyphen
  EXPECT_EQ(fold_case("\u2764\uFE0F"), "\u2764");        // variation selector
  EXPECT_EQ(fold_case("\uFEFFdog\u200D"), "dog");        // byte order mark, joiner
  EXPECT_EQ(fold_case("\u2065\uFFF0\U000E0100a"), "a");  // reserved for such
}

TEST(FoldCase, IsIdempotent) {
  for (const char* text : {"Straße", "İ", "ǅ", "ΐ", "ŉ", "㎏", "Å"}) {
    EXPECT_EQ(fold_case(fold_case(text)), fold_case(text)) << text;
  }
}

TEST(FoldCase, RefusesWhatIsNotUtf8) {
  EXPECT_EQ(fold_case("caf\xE9"), "");       // Latin-1
  EXPECT_EQ(fold_case("\xC0\xAF"), "");      // overlong
  EXPECT_EQ(fold_case("\xED\xA0\x80"), "");  // a surrogate
  EXPECT_EQ(fold_case("\xF0\x9F\x8C"), "");  // cut short
  EXPECT_EQ(fold_case(""), "");
}

TEST(Utf16, IsToldFromUtf8) {
  const auto widened = [](const std::string& text, bool big) {
    std::string wide;
    for (const char c : text) {
      if (big) wide += '\0';
      wide += c;
      if (!big) wide += '\0';
    }
    return wide;
  };
  EXPECT_TRUE(
      is_utf16("\xFF\xFE"
               "a"));
  EXPECT_TRUE(is_utf16("\xFE\xFF"));
  EXPECT_TRUE(is_utf16(widened("image,tags\n", false)));
  EXPECT_TRUE(is_utf16(widened("image,tags\n", true)));
  EXPECT_FALSE(is_utf16("image,tags\n"));
  EXPECT_FALSE(is_utf16(""));
  EXPECT_FALSE(is_utf16(std::string(64, '\0')));
}

TEST(UnicodeForms, ComposeAndDecomposeWithoutCompatibilityForms) {
  EXPECT_EQ(composed("Cafe\u0301"), "Caf\u00E9");
  EXPECT_EQ(decomposed("Caf\u00E9"), "Cafe\u0301");
  EXPECT_EQ(decomposed("\u2460"), "\u2460");  // no compatibility forms
}

TEST(Base64, IsDecoded) {
  // RFC 4648, section 10.
  const std::string whole = "foobar",
                    coded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
  for (size_t i = 0; i < 7; ++i) EXPECT_EQ(base64_decoded(coded[i]), whole.substr(0, i));
  EXPECT_EQ(base64_decoded("Zm9v\r\nYmFy\n"), whole);
  EXPECT_EQ(base64_decoded("/+8="), "\xFF\xEF");
  EXPECT_EQ(base64_decoded("Zm9v?"), std::nullopt);
  EXPECT_EQ(base64_decoded("Zm9vY"), std::nullopt);
}

TEST(NearestName, FindsTyposOnly) {
  const std::vector<std::string> known = {"epochs", "batch", "lr", "momentum", "label_smoothing"};
  EXPECT_EQ(nearest_name("epoch", known), "epochs");
  EXPECT_EQ(nearest_name("bacth", known), "batch");
  EXPECT_EQ(nearest_name("batch_size", known), "");
  EXPECT_EQ(nearest_name("ls", known), "lr");
  EXPECT_EQ(nearest_name("labelsmoothing", known), "label_smoothing");
  EXPECT_EQ(nearest_name("xy", known), "");
  EXPECT_EQ(nearest_name("temperature", known), "");
  EXPECT_EQ(nearest_name("anything", {}), "");
}

TEST(NearestName, FindsWordsOfNames) {
  const std::vector<std::string> known = {"epochs", "layer-experts", "expert-channels", "out"};
  EXPECT_EQ(nearest_name("experts", known), "layer-experts");
  EXPECT_EQ(nearest_name("channels", known), "expert-channels");
  EXPECT_EQ(nearest_name("expert", known), "expert-channels");
  EXPECT_EQ(nearest_name("epoch", known), "epochs");
  EXPECT_EQ(nearest_name("perts", known), "");
}

TEST(Split, KeepsEmptyParts) {
  EXPECT_EQ(split("a,,b,", ','), (std::vector<std::string>{"a", "", "b", ""}));
  EXPECT_EQ(split("", ','), std::vector<std::string>{""});
}

TEST(Trim, CutsBlanksAtBothEnds) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
}

TEST(IndentedList, HasEightEntriesAtMost) {
  EXPECT_EQ(indented_list({}), "");
  EXPECT_EQ(indented_list({"a", "b"}), "\n  a\n  b");
  EXPECT_EQ(indented_list(std::vector<std::string>(8, "a")).find("more"), std::string::npos);
  const std::string ten = indented_list(std::vector<std::string>(10, "a"));
  EXPECT_EQ(std::count(ten.begin(), ten.end(), '\n'), 9);
  EXPECT_TRUE(ten.ends_with("\n  a\n  and 2 more")) << ten;
}

TEST(FormatTable, AlignsByColumnsNotBytes) {
  EXPECT_EQ(format_table({{"model", "P@1"}, {"4× expert", "0.5"}, {"base", "12.25"}}),
            "model        P@1\n"
            "4× expert    0.5\n"
            "base       12.25\n");
  EXPECT_EQ(format_table({}), "");
}

TEST(HumanCount, HasThreeDigits) {
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(950), "950");
  EXPECT_EQ(human_count(1000), "1k");
  EXPECT_EQ(human_count(1234567), "1.23M");
  EXPECT_EQ(human_count(999999), "1M");  // not "1e+03k"
  EXPECT_EQ(human_count(2.5e15), "2.5P");
}

TEST(ParseBytes, KnowsUnits) {
  EXPECT_EQ(parse_bytes("0", "--cache"), 0);
  EXPECT_EQ(parse_bytes("4096", "--cache"), 4096);
  EXPECT_EQ(parse_bytes("64k", "--cache"), 65536);
  EXPECT_EQ(parse_bytes("1.5G", "--cache"), 1610612736);
  for (const char* wrong : {"", "G", "-1M", "12X", "12 M", "1MB", "nan", "inf", "1e30"}) {
    expect_error([&] { parse_bytes(wrong, "--cache"); }, {"--cache", wrong}, ExitStatus::usage);
  }
}

}  // namespace
}  // namespace hardmoe
