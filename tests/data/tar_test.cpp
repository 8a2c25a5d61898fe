// Tars against Python's tarfile, both ways (references/make_tars.py), and damaged ones.
#include "data/tar.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "expect_error.h"
#include "outside.h"
#include "small_dataset.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

const fs::path tars = test_files() / "tars";

std::vector<TarEntry> index_of(const std::string& bytes) {
  return index_tar(std::as_bytes(std::span(bytes)), "x.tar");
}

/// Gives the header block at `at` the checksum it should have.
void sign(std::string& bytes, size_t at) {
  bytes.replace(at + 148, 8, 8, ' ');
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(bytes[at + i]);
  bytes.replace(at + 148, 7, fmt::format("{:06o}", sum) + '\0');
}

class TarKinds : public testing::TestWithParam<const char*> {};

TEST_P(TarKinds, IndexAgreesWithPython) {
  const auto found = index_of(read_file(tars / fmt::format("{}.tar", GetParam())));
  const Json expected = read_json(tars / fmt::format("{}.json", GetParam()));
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].name, expected[i][0]);
    EXPECT_EQ(found[i].offset, expected[i][1]);
    EXPECT_EQ(found[i].size, expected[i][2]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, TarKinds,
                         testing::Values("ustar", "gnu", "pax", "pax_extra", "base256"));

TEST(Tar, LinksAreWhatPythonExtracts) {
  const std::string bytes = read_file(tars / "links.tar");
  const TarIndex index = read_tar(std::as_bytes(std::span(bytes)), "links.tar");
  const Json expected = read_json(tars / "links.json");
  ASSERT_EQ(index.links.size(), expected.size());
  for (size_t i = 0; i < index.links.size(); ++i) {
    const TarLink& link = index.links[i];
    EXPECT_EQ(link.name, expected[i][0]);
    const Json& place = expected[i][1];
    EXPECT_EQ(link.size, place.is_null() ? -1 : place[1].get<int64_t>()) << link.name;
    EXPECT_EQ(link.offset, place.is_null() ? 0 : place[0].get<int64_t>()) << link.name;
    EXPECT_EQ(link.leaves, link.name == "outside.jpg") << link.name;
  }
}

TEST(Tar, LinksInACircleLeadNowhere) {
  std::string bytes = read_file(tars / "links.tar");
  const size_t at = bytes.find("gone.jpg");  // its target becomes itself
  bytes.replace(at + 157, 12, std::string("gone.jpg\0\0\0\0", 12));
  sign(bytes, at);
  const TarIndex index = read_tar(std::as_bytes(std::span(bytes)), "links.tar");
  for (const TarLink& link : index.links) {
    if (link.name != "gone.jpg") continue;
    EXPECT_EQ(link.size, -1);
  }
}

TEST(Tar, WhatFollowsAnArchiveIsReadOrCounted) {
  const std::string one = read_file(tars / "ustar.tar"), two = read_file(tars / "pax.tar");
  const auto index = [](const std::string& bytes) {
    return read_tar(std::as_bytes(std::span(bytes)), "x.tar");
  };
  const TarIndex both = index(one + two);
  EXPECT_EQ(both.archives, 2);
  EXPECT_EQ(both.files.size(), index(one).files.size() + index(two).files.size());
  EXPECT_EQ(both.files.back().offset,
            index(two).files.back().offset + static_cast<int64_t>(one.size()));
  EXPECT_EQ(both.bytes_behind, 0);
  EXPECT_EQ(index(one + std::string(3 * 512, '\0') + two).archives, 2);
  EXPECT_EQ(index(one + "no tar at all").bytes_behind, 13);
  EXPECT_EQ(index(one + std::string(700, '\0')).bytes_behind, 0);
  expect_error([&] { index(one + two.substr(0, 700)); }, {"at byte", "truncated"});
}

TEST(Tar, EveryTruncationIsRefused) {
  const std::string whole = read_file(tars / "pax.tar");
  const auto entries = index_of(whole);
  const auto end = static_cast<size_t>(entries.back().offset) + 512;  // of the last member's data
  for (size_t length = 0; length < end + 512; length += length % 512 == 0 ? 100 : 412) {
    expect_error([&] { index_of(whole.substr(0, length)); }, {"x.tar", "at byte"});
  }
  EXPECT_EQ(index_of(whole.substr(0, end + 512)).size(), entries.size());
}

TEST(Tar, LyingSizesAndForeignFilesAreRefused) {
  std::string bytes = read_file(tars / "ustar.tar");
  bytes.replace(512 + 124, 12, "00000777777 ");  // the first file's
  expect_error([&] { index_of(bytes); }, {"checksum", "at byte 512"});
  sign(bytes, 512);
  expect_error([&] { index_of(bytes); }, {"at byte 512", "262143", "beyond the end"});
  bytes.replace(512 + 124, 12, "-00000000001");
  sign(bytes, 512);
  expect_error([&] { index_of(bytes); }, {"size is not a number"});
  bytes.replace(512 + 124, 12, std::string("\x80\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 12));
  sign(bytes, 512);
  expect_error([&] { index_of(bytes); }, {"size is not a number"});
  expect_error([&] { index_of(std::string(2000, 'x')); }, {"checksum", "not a tar"});
  expect_error([&] { index_of(""); }, {"truncated or not a tar"});
}

TEST(Tar, MutatedArchivesNeverDoMoreThanThrow) {
  Random random(2, RandomUse::test);
  for (const char* name : {"ustar", "gnu", "pax", "pax_extra", "base256"}) {
    const std::string whole = read_file(tars / fmt::format("{}.tar", name));
    for (int trial = 0; trial < 400; ++trial) {
      std::string bytes = mutated(whole, random);
      // Half of them with right checksums, to get beyond that guard.
      for (size_t at = 0; trial % 2 == 0 && at + 512 <= bytes.size(); at += 512) {
        if (bytes.compare(at + 257, 5, "ustar") == 0) sign(bytes, at);
      }
      try {
        for (const auto& entry : index_of(bytes)) {
          ASSERT_GE(entry.offset, 512);
          ASSERT_LE(static_cast<size_t>(entry.offset + entry.size), bytes.size());
        }
      } catch (const Error&) {
      }
    }
  }
}

const std::vector<std::pair<std::string, std::string>> members = {
    {"a.jpg", "first"},
    {"empty.txt", ""},
    {"block.bin", std::string(1024, 'b')},
    {std::string(120, 'd') + "/" + std::string(90, 'f') + ".png", "prefix"},
    {std::string(300, 'n') + ".png", "too long for ustar"},
    {"caf\u00e9.json", "{}"},
};

TEST(TarWriter, OffsetsPointAtTheBytes) {
  const TemporaryFolder folder;
  TarWriter tar(folder / "out.tar");
  std::vector<int64_t> offsets;
  for (const auto& [name, data] : members) offsets.push_back(tar.add(name, data));
  const std::string hash = tar.finish();
  EXPECT_EQ(hash, sha256_of_file(folder / "out.tar"));
  const std::string bytes = read_file(folder / "out.tar");
  EXPECT_EQ(bytes.size() % 10240, 0U);
  const auto entries = index_of(bytes);
  ASSERT_EQ(entries.size(), members.size());
  for (size_t i = 0; i < members.size(); ++i) {
    EXPECT_EQ(entries[i].name, members[i].first);
    EXPECT_EQ(entries[i].offset, offsets[i]);
    EXPECT_EQ(bytes.substr(static_cast<size_t>(offsets[i]), members[i].second.size()),
              members[i].second);
  }
}

TEST(TarWriter, PythonReadsWhatIsWritten) {
  const auto [python, missing] = python_with("tarfile");
  if (!missing.empty()) GTEST_SKIP() << missing;
  const TemporaryFolder folder;
  TarWriter tar(folder / "out.tar");
  for (const auto& [name, data] : members) tar.add(name, data);
  tar.finish();
  const std::string script =
      "import json, sys, tarfile\n"
      "t = tarfile.open(sys.argv[1])\n"
      "print(json.dumps([[m.name, t.extractfile(m).read().decode(), m.mtime, m.mode, m.uid]\n"
      "                  for m in t.getmembers()]))\n";
  write_file_atomic(folder / "read.py", script);
  const std::string command =
      fmt::format("{} '{}' '{}'", python.string(), (folder / "read.py").string(),
                  (folder / "out.tar").string());
  FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  ASSERT_EQ(pclose(pipe), 0);
  const Json found = parse_json(text, "Python's listing");
  ASSERT_EQ(found.size(), members.size());
  for (size_t i = 0; i < members.size(); ++i) {
    EXPECT_EQ(found[i], (Json{members[i].first, members[i].second, 0, 0644, 0}));
  }
}

}  // namespace
}  // namespace hardmoe
