// Keywords added to XMP: what is there stays, byte for byte.
#include "image/xmp_merge.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/files.h"
#include "expect_error.h"
#include "image/sidecar.h"
#include "image/xmp.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {

using Words = std::vector<std::string>;

/// Returns a packet whose prefixes are not the usual ones.
std::string packet(const std::string& body) {
  return "<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?>\n<m:xmpmeta xmlns:m='adobe:ns:meta/'>"
         "<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#' "
         "xmlns:d='http://purl.org/dc/elements/1.1/'><r:Description r:about='' "
         "xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmp:Rating='5'>" +
         body + "</r:Description></r:RDF></m:xmpmeta><?xpacket end='w'?>";
}

/// Expects that `after` is `before` with one piece inserted.
void expect_inserted(const std::string& before, const std::string& after) {
  const auto same = static_cast<size_t>(std::ranges::mismatch(before, after).in1 - before.begin());
  const std::string rest = before.substr(same);
  ASSERT_GT(after.size(), before.size());
  EXPECT_EQ(after.substr(after.size() - rest.size()), rest);
}

TEST(XmpMerge, WhatIsThereStaysAndWhatIsMissingIsAdded) {
  const std::string before =
      packet("<d:subject><r:Bag><r:li>sea</r:li> <r:li>a &amp; b</r:li></r:Bag></d:subject>");
  const std::string after = with_subjects(before, {"a & b", "dune", "sea", "<x>", "Düne"});
  EXPECT_EQ(xmp_keywords(after).keywords, (Words{"sea", "a & b", "dune", "<x>", "Düne"}));
  expect_inserted(before, after);
  EXPECT_EQ(with_subjects(after, {"dune", "sea"}), after) << "nothing is missing";
}

TEST(XmpMerge, APlaceIsMadeWhereThereIsNone) {
  for (const char* body :
       {"", "<d:subject></d:subject>", "<d:subject><r:Bag></r:Bag></d:subject>",
        "<d:title><r:Alt><r:li xml:lang='x-default'>T</r:li></r:Alt></d:title>"}) {
    const std::string before = packet(body), after = with_subjects(before, {"one", "two"});
    EXPECT_EQ(xmp_keywords(after).keywords, (Words{"one", "two"})) << after;
    expect_inserted(before, after);
  }
  for (const char* body : {"<d:subject/>", "<d:subject><r:Bag/></d:subject>",
                           "<d:subject r:nodeID='a>/'/>", "<d:subject><r:Seq/></d:subject>"}) {
    const std::string after = with_subjects(packet(body), {"one", "two"});
    EXPECT_EQ(xmp_keywords(after).keywords, (Words{"one", "two"})) << after;
  }
}

TEST(XmpMerge, AnElementThatIsNoListIsNotTakenForOne) {
  for (const char* body :
       {"<d:subject><r:RDF>x</r:RDF></d:subject>", "<d:subject><r:RDF><r:Bag/></r:RDF></d:subject>",
        "<d:subject><r:Description/></d:subject>"}) {
    const std::string before = packet(body), after = with_subjects(before, {"one", "two"});
    EXPECT_EQ(xmp_keywords(after).keywords, (Words{"one", "two"})) << after;
    expect_inserted(before, after);
  }
}

TEST(XmpMerge, AnEmptyPacketBecomesAWholeOne) {
  const std::string made = with_subjects("", {"one"});
  EXPECT_EQ(xmp_keywords(made).keywords, Words{"one"});
  EXPECT_TRUE(made.starts_with("<?xpacket begin=")) << made;
  EXPECT_TRUE(made.ends_with("<?xpacket end=\"w\"?>\n")) << made;
}

TEST(XmpMerge, OtherProgramsSidecarsKeepAllTheyHold) {
  for (const char* name : {"photos/exiftool.xmp", "photos/toolkit.xmp"}) {
    const std::string before = read_file(test_file(name));
    const Words known = xmp_keywords(before).keywords;
    const std::string after = with_subjects(before, {"added by a test"});
    expect_inserted(before, after);
    Words now = xmp_keywords(after).keywords;
    EXPECT_EQ(now.size(), known.size() + 1) << name;
    EXPECT_NE(std::ranges::find(now, "added by a test"), now.end()) << name;
  }
}

TEST(XmpMerge, WhatCannotBeMergedIsRefused) {
  expect_error([] { with_subjects("<a><b></a>", {"x"}); }, {"XMP, line 1"});
  expect_error([] { with_subjects("<a/>", {"x"}); }, {"no rdf:RDF"});
  const std::string attribute =
      "<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><r:Description "
      "xmlns:d='http://purl.org/dc/elements/1.1/' d:subject='one'/></r:RDF>";
  expect_error([&] { with_subjects(attribute, {"x"}); }, {"an attribute", "a list"});
  const std::string latin = "<?xml version='1.0' encoding='ISO-8859-1'?>" + attribute;
  expect_error([&] { with_subjects(latin, {"x"}); }, {"not in UTF-8"});
  std::string wide = "\xFF\xFE";
  for (const char c : packet("")) wide += {c, '\0'};
  expect_error([&] { with_subjects(wide, {"x"}); }, {"not in UTF-8"});
}

TEST(Sidecar, TheFirstOfThoseThereIsTakenElseOneIsMade) {
  const TemporaryFolder folder;
  const auto image = folder / "photo.jpg";
  EXPECT_EQ(add_to_sidecar(image, {"one"}), folder / "photo.jpg.xmp");
  EXPECT_EQ(add_to_sidecar(image, {"two"}), folder / "photo.jpg.xmp");
  EXPECT_EQ(xmp_keywords(read_file(folder / "photo.jpg.xmp")).keywords, (Words{"one", "two"}));
  std::filesystem::rename(folder / "photo.jpg.xmp", folder / "photo.xmp");
  EXPECT_EQ(add_to_sidecar(image, {"three"}), folder / "photo.xmp");
  EXPECT_FALSE(std::filesystem::exists(folder / "photo.jpg.xmp"));
  write_file_atomic(folder / "photo.xmp", "no XML");
  expect_error([&] { add_to_sidecar(image, {"one"}); },
               {"photo.xmp: XMP, line 1", "nothing is written there"});
  EXPECT_EQ(read_file(folder / "photo.xmp"), "no XML");
}

}  // namespace
}  // namespace hardmoe
