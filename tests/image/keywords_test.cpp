// Keywords in photographs and beside them, against what exiftool reads of the same files
// (references/make_photos.py); XMP in the forms its specification and writers have.
#include "image/keywords.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "data/dataset.h"
#include "expect_error.h"
#include "image/unicode_text.h"
#include "image/xmp.h"
#include "ingest/sources/kinds.h"
#include "small_dataset.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;
using Words = std::vector<std::string>;

const fs::path photos = test_files() / "photos";

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(Keywords, AreThoseThatExiftoolReads) {
  const Json expected = read_json(photos / "expected.json").at("keywords");
  EXPECT_EQ(expected.size(), 15U);
  for (const auto& [name, entry] : expected.items()) {
    const std::string bytes = read_file(photos / name);
    const bool sidecar = name.ends_with(".xmp");
    Words found = sidecar ? xmp_keywords(bytes).keywords : embedded_keywords(bytes_of(bytes));
    Words wanted = entry.get<Words>();
    if (name == "tree.jpg") {  // the order of properties is its writer's
      std::sort(found.begin(), found.end());
      std::sort(wanted.begin(), wanted.end());
    }
    EXPECT_EQ(found, wanted) << name;
  }
}

std::string packet(const std::string& body, const std::string& attributes = "") {
  return R"(<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
  xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
  xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
  xmlns:d="http://www.digikam.org/ns/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
  xmlns:q="http://example.org/q/" xmlns:xmpNote="http://ns.adobe.com/xmp/note/">
 <rdf:Description rdf:about="" )" +
         attributes + ">" + body + R"(</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>)";
}

TEST(Xmp, EverySerialisationSaysTheSame) {
  const Words two = {"a b", "c"};
  const auto read = [](const std::string& body) { return xmp_keywords(packet(body)).keywords; };
  for (const char* box : {"Bag", "Seq", "Alt"}) {
    EXPECT_EQ(
        read(fmt::format("<dc:subject>\n <rdf:{0}>\n  <rdf:li> a\n</rdf:li> <rdf:li>b</rdf:li>"
                         "</rdf:{0}></dc:subject>",
                         box)),
        (Words{"a", "b"}));
  }
  EXPECT_EQ(
      read("<dc:subject><rdf:Bag><rdf:li xml:lang='en'>a b</rdf:li><rdf:li>c</rdf:li></rdf:Bag>"
           "</dc:subject>"),
      two);
  EXPECT_EQ(
      read("<dc:subject><rdf:Bag><rdf:_1>a b</rdf:_1><rdf:_2>c</rdf:_2></rdf:Bag></dc:subject>"),
      two);
  // A value with qualifiers, in three ways.
  EXPECT_EQ(
      read("<dc:subject><rdf:Bag><rdf:li rdf:parseType='Resource'><rdf:value>a b</rdf:value>"
           "<q:by>me</q:by></rdf:li><rdf:li><rdf:Description><q:by><rdf:Bag><rdf:li>x</rdf:li>"
           "</rdf:Bag></q:by><rdf:value>c</rdf:value></rdf:Description></rdf:li></rdf:Bag>"
           "</dc:subject>"),
      two);
  EXPECT_EQ(
      read("<dc:subject><rdf:Bag><rdf:li><rdf:Description rdf:value='a b' q:by='me'/></rdf:li>"
           "<rdf:li rdf:resource='c'/></rdf:Bag></dc:subject>"),
      two);
  EXPECT_EQ(read("<dc:subject>single one</dc:subject>"), Words{"single one"});
  EXPECT_EQ(xmp_keywords(packet("", "dc:subject='single one' xmp:Rating='5'")).keywords,
            Words{"single one"});
  EXPECT_EQ(
      read("<dc:subject><rdf:Bag><rdf:li>Jack &amp; Jill</rdf:li><rdf:li><![CDATA[<x>]]></rdf:li>"
           "<rdf:li>&#x6d77;</rdf:li></rdf:Bag></dc:subject>"),
      (Words{"Jack & Jill", "<x>", "海"}));
  // What only resembles keywords.
  EXPECT_EQ(
      read("<q:subject><rdf:Bag><rdf:li>a</rdf:li></rdf:Bag></q:subject><dc:title>t</dc:title>"
           "<dc:subject><rdf:Bag/></dc:subject>"),
      Words{});
}

TEST(Xmp, OfAHierarchyEveryPartIsAKeyword) {
  const std::string both = packet(
      "<lr:hierarchicalSubject><rdf:Bag><rdf:li>Places|Europe|Paris</rdf:li><rdf:li>Dog</rdf:li>"
      "</rdf:Bag></lr:hierarchicalSubject><d:TagsList><rdf:Seq><rdf:li>Places/Europe/Rome</rdf:li>"
      "</rdf:Seq></d:TagsList><dc:subject><rdf:Bag><rdf:li>Paris</rdf:li><rdf:li>AC/DC</rdf:li>"
      "</rdf:Bag></dc:subject>");
  EXPECT_EQ(xmp_keywords(both).keywords,
            (Words{"Places", "Europe", "Paris", "Dog", "Rome", "AC/DC"}));
}

TEST(Xmp, OtherEncodingsAndPaddingAreRead) {
  const std::string text =
      packet("<dc:subject><rdf:Bag><rdf:li>Düne</rdf:li></rdf:Bag></dc:subject>");
  EXPECT_EQ(
      xmp_keywords("\xEF\xBB\xBF" + text + std::string(2000, ' ') + std::string(9, '\0')).keywords,
      Words{"Düne"});
  std::string wide = "\xFF\xFE";
  for (size_t at = 0; at < text.size(); ++at) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c < 0x80) {
      wide += {text[at], '\0'};
    } else {  // the ü
      wide += {'\xFC', '\0'};
      ++at;
    }
  }
  EXPECT_EQ(xmp_keywords(wide).keywords, Words{"Düne"});
  EXPECT_EQ(xmp_keywords(wide + std::string(6, '\0')).keywords, Words{"Düne"});
  EXPECT_EQ(xmp_keywords("").keywords, Words{});
  EXPECT_EQ(xmp_keywords("  \n").keywords, Words{});
}

TEST(Xmp, WhatIsDamagedOrWithoutBoundsIsRefused) {
  expect_error([] { xmp_keywords("<a><b></a>"); }, {"XMP, line 1", "mismatched tag"});
  expect_error([] { xmp_keywords(packet("<dc:subject>").substr(0, 300)); }, {"XMP, line"});
  expect_error([] { xmp_keywords("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"); },
               {"declares a document type"});
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "<a>";
  expect_error([&] { xmp_keywords(deep); }, {"deeper than 100"});
  std::string many = "<dc:subject><rdf:Bag>";
  for (size_t i = 0; i <= max_keywords; ++i) many += fmt::format("<rdf:li>{}</rdf:li>", i);
  expect_error([&] { xmp_keywords(packet(many + "</rdf:Bag></dc:subject>")); },
               {"more than 10000 keywords"});
}

std::string segment(char marker, const std::string& data) {
  const size_t length = data.size() + 2;
  return std::string{'\xFF', marker, static_cast<char>(length >> 8), static_cast<char>(length)} +
         data;
}

TEST(Keywords, XmpInSeveralSegmentsIsPutTogether) {
  const std::string jpeg = read_file(test_files() / "images/color.jpg");
  const std::string guid = "0123456789ABCDEF0123456789ABCDEF";
  const std::string whole = packet(
      "<dc:subject><rdf:Bag><rdf:li>far</rdf:li><rdf:li>near</rdf:li></rdf:Bag></dc:subject>");
  const auto number = [](size_t n) {
    return std::string{static_cast<char>(n >> 24), static_cast<char>(n >> 16),
                       static_cast<char>(n >> 8), static_cast<char>(n)};
  };
  const auto part = [&](const std::string& name, size_t begin, size_t end) {
    return segment('\xE1', std::string("http://ns.adobe.com/xmp/extension/\0", 35) + name +
                               number(whole.size()) + number(begin) +
                               whole.substr(begin, end - begin));
  };
  const std::string lead("http://ns.adobe.com/xap/1.0/\0", 29);
  const std::string first =
      packet("<dc:subject><rdf:Bag><rdf:li>near</rdf:li></rdf:Bag></dc:subject>",
             "xmpNote:HasExtendedXMP='" + guid + "'");
  const size_t middle = whole.size() / 2;
  const std::string file = jpeg.substr(0, 2) + segment('\xE1', lead + first) +
                           part(guid, middle, whole.size()) + part(guid, 0, middle) +
                           part(std::string(32, 'F'), 0, middle) + jpeg.substr(2);
  EXPECT_EQ(embedded_keywords(bytes_of(file)), (Words{"near", "far"}));
}

TEST(Keywords, IptcIsReadInItsEncodings) {
  const auto record = [](char number, char set, const std::string& value) {
    return std::string{'\x1C', number, set, '\0', static_cast<char>(value.size())} + value;
  };
  EXPECT_EQ(
      iptc_keywords(record(2, 25, "D\xFCne") + record(2, 5, "a title") + record(2, 25, "Meer")),
      (Words{"Düne", "Meer"}));
  EXPECT_EQ(iptc_keywords(record(2, 25, "Düne")), Words{"Düne"}) << "valid UTF-8, though not said";
  EXPECT_EQ(iptc_keywords(record(1, 90, "\x1B%G") + record(2, 25, "海")), Words{"海"});
  EXPECT_EQ(iptc_keywords(record(1, 125, "no keyword") + record(2, 25, std::string("x\0", 2))),
            Words{"x"});
  // A length in four bytes, and one that leads beyond the end.
  EXPECT_EQ(iptc_keywords(std::string("\x1C\x02\x19\x80\x04\0\0\0\x03", 9) + "abc"), Words{"abc"});
  EXPECT_EQ(iptc_keywords(std::string("\x1C\x02\x19\0\x09", 5) + "abc"), Words{});
}

TEST(Keywords, MutatedFilesNeverDoMoreThanThrow) {
  Random random(1, RandomUse::test);
  for (const auto& entry : fs::directory_iterator(photos)) {
    const std::string original = read_file(entry.path());
    for (int trial = 0; trial < 40 && original.size() < 10000; ++trial) {
      const std::string bytes = mutated(original, random);
      try {
        embedded_keywords(bytes_of(bytes));
        xmp_keywords(bytes);
      } catch (const Error&) {
      }
    }
  }
}

class PhotoFolder : public testing::Test {
 protected:
  PhotoFolder() { fs::create_directories(folder_ / "2024/Rome"); }
  void copy(const std::string& from, const std::string& to) {
    fs::copy_file(photos / from, folder_ / to);
  }
  TemporaryFolder folder_;
};

TEST_F(PhotoFolder, TagsAreTheKeywordsOfTheImageAndTheFilesBesideIt) {
  copy("plain.jpg", "2024/Rome/b.jpg");  // Lightroom's name for it
  overwrite(folder_ / "2024/Rome/b.xmp",
            packet("<dc:subject><rdf:Bag><rdf:li>forum</rdf:li></rdf:Bag></dc:subject>"));
  copy("three.jpg", "2024/Rome/c.jpg");  // digiKam's
  overwrite(
      folder_ / "2024/Rome/c.jpg.xmp",
      packet(
          "<dc:subject><rdf:Bag><rdf:li>Sky</rdf:li><rdf:li>boat</rdf:li></rdf:Bag></dc:subject>"));
  copy("plain.jpg", "2024/d.jpg");
  copy("xmp.webp", "e.webp");
  copy("utf8.jpg", "f.jpg");
  overwrite(folder_ / "f.XMP", "<not><well></formed>");
  const auto source = open_photos(folder_.path(), {});
  ASSERT_EQ(source->size(), 5);
  EXPECT_EQ(source->item(0).key, "2024/Rome/b");
  EXPECT_EQ(source->item(0).tags, Words{"forum"});
  EXPECT_EQ(source->item(1).tags, (Words{"Sky", "boat", "Beach", "Sea", "Sand"}));
  EXPECT_EQ(source->item(2).tags, Words{});
  EXPECT_NE(source->item(2).detail.find("no keywords"), std::string::npos);
  EXPECT_EQ(source->item(3).tags, (Words{"Beach", "Große Düne", "海"}));
  const SourceItem damaged = source->item(4);
  EXPECT_EQ(damaged.rejection, Rejection::unreadable_tags);
  EXPECT_NE(damaged.detail.find("f.XMP: XMP, line 1"), std::string::npos) << damaged.detail;
  EXPECT_DOUBLE_EQ(share_with_keywords(folder_.path(), 5), 0.6);
  EXPECT_DOUBLE_EQ(share_with_keywords(folder_.path(), 100), 0.6);
  EXPECT_DOUBLE_EQ(share_with_keywords(folder_ / "2024/Rome", 1), 1);
}

TEST_F(PhotoFolder, BecomesADataset) {
  copy("xmp.jpg", "a.jpg");
  copy("utf8.jpg", "b.jpg");
  overwrite(folder_ / "b.jpg.xmp",
            packet("<dc:subject><rdf:Bag><rdf:li>sand; dune</rdf:li></rdf:Bag></dc:subject>"));
  IngestOptions options;
  options.sources = {"photos:" + folder_.path().string()};
  options.source.tag_separator = ";";
  options.duplicates = Duplicates::keep;
  const TemporaryFolder out;
  options.out = out / "dataset";
  ingest(options);
  const Dataset data = Dataset::open(options.out);
  Words names;
  const auto tags = data.split("train").tags(1);
  for (const int32_t tag : tags) names.push_back(data.vocabulary().tags[static_cast<size_t>(tag)]);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (Words{"dune", "grosse düne", "sand", "海"}));
}

}  // namespace
}  // namespace hardmoe
