// Members of WebDataset tars become samples: tars of the webdataset package's own writer
// (references/make_webdataset.py), and names of other programs.
#include "ingest/sources/samples.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "data/dataset.h"
#include "expect_error.h"
#include "small_dataset.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;
using Strings = std::vector<std::string>;
using TagsByKey = std::map<std::string, std::set<std::string>>;

const fs::path files = test_files() / "sources/webdataset";

TagsByKey ingested(const fs::path& out) {
  TagsByKey found;
  const Dataset data = Dataset::open(out);
  const Split& images = data.split("train");
  for (int64_t i = 0; i < images.size(); ++i) {
    auto& tags = found[images.key(i)];
    for (const int32_t id : images.tags(i)) {
      tags.insert(data.vocabulary().tags[static_cast<size_t>(id)]);
    }
  }
  return found;
}

TagsByKey expected(const std::string& tar) {
  TagsByKey tags;
  const Json all = read_json(files / "expected.json");
  for (const auto& [key, list] : all.at(tar).items()) {
    for (const Json& tag : list) tags[key].insert(tag.get<std::string>());
  }
  return tags;
}

IngestOptions options_for(const fs::path& out, const fs::path& source) {
  IngestOptions options;
  options.sources = {source.string()};
  options.out = out;
  return options;
}

int64_t total(const Json& passed_over) {
  int64_t count = 0;
  for (const auto& [kind, entry] : passed_over.items()) count += entry.at("count").get<int64_t>();
  return count;
}

TEST(Samples, KeysMayHaveDotsAsWebdatasetWritesThem) {
  const TemporaryFolder folder;
  const Json counts = ingest(options_for(folder / "out", files / "dots.tar")).counts;
  EXPECT_EQ(ingested(folder / "out"), expected("dots"));
  EXPECT_EQ(total(counts.at("passed_over")), 0);
}

TEST(Samples, SeveralImagesAreReadInTheOneWayThereIsOrCounted) {
  const TemporaryFolder folder;
  auto options = options_for(folder / "out", files / "fields.tar");
  const Json passed = ingest(options).counts.at("passed_over");
  EXPECT_EQ(ingested(folder / "out"), expected("fields"));
  EXPECT_EQ(passed
                .at("part of a sample of several images or texts (fields left.jpg, right.jpg, "
                    "txt)")
                .at("count"),
            3);
  EXPECT_EQ(total(passed), 5);  // seg.png and npy, too

  options.out = folder / "right";
  options.source.image_field = "right.jpg";
  ingest(options);
  EXPECT_EQ(ingested(options.out), (TagsByKey{{"fields/stereo", {"three"}}}));

  options.out = folder / "strict";
  options.strict = true;
  expect_error([&] { ingest(options); }, {"--strict", "image of another field", "mask.jpg"});
}

/// The samples that members of these names make: "KEY: image json text label".
Strings samples_of(const Strings& names, SourceReport& report, const std::string& image_field = "",
                   const std::string& tag_field = "") {
  SampleGatherer gatherer(image_field, tag_field);
  int64_t offset = 0;
  for (const auto& name : names) gatherer.add(name, {++offset, 1, -1}, false, report);
  Strings found;
  for (const Sample& sample : gatherer.finish(report)) {
    std::string text = sample.key + ":";
    for (const MemberLocation& place : sample.fields) {
      text += place.exists() ? " " + names[static_cast<size_t>(place.offset) - 1] : " -";
    }
    found.push_back(text + (sample.is_repeat ? " again" : ""));
  }
  return found;
}

TEST(Samples, EveryMemberIsInASampleOrCounted) {
  struct Case {
    Strings names, samples;
    int64_t passed_over;
  };
  const std::vector<Case> cases = {
      {{"a.jpg", "a.txt", "b.v2.jpg", "b.v2.txt"},
       {"a: a.jpg - a.txt -", "b.v2: b.v2.jpg - b.v2.txt -"},
       0},
      {{"x.jpg", "x.jpg.json"}, {"x: x.jpg x.jpg.json - -"}, 0},
      {{"x.jpg.txt", "x.jpg"}, {"x: x.jpg - x.jpg.txt -"}, 0},
      {{"a.seg.png", "a.txt", "a.jpg"}, {"a: a.jpg - a.txt -"}, 1},
      {{"x.left.jpg", "x.right.jpg", "x.txt"}, {}, 3},
      // Each has its own text.
      {{"x.left.jpg", "x.left.txt", "x.right.jpg", "x.right.txt"},
       {"x.left: x.left.jpg - x.left.txt -", "x.right: x.right.jpg - x.right.txt -"},
       0},
      {{"s.input.jpg", "s.outputs.txt"}, {"s: s.input.jpg - s.outputs.txt -"}, 0},
      {{"s.input.jpg", "s.a.json", "s.b.txt"}, {"s: s.input.jpg s.a.json s.b.txt -"}, 0},
      {{"s.input.jpg", "s.a.txt", "s.b.txt"}, {}, 3},
      {{"k.jpg", "k.cls"}, {"k: k.jpg - - k.cls"}, 0},
      {{"a.jpg", "a.png", "a.txt"}, {"a: a.jpg - a.txt -", "a: a.png - - - again"}, 0},
      // Without a text there is nothing to choose for: listed one by one.
      {{"2024.01.jpg", "2024.02.jpg"},
       {"2024.01: 2024.01.jpg - - -", "2024.02: 2024.02.jpg - - -"},
       0},
      {{"d.1/a.jpg", "d.1/a.txt", "d.2/a.jpg", "d.2/a.txt"},
       {"d.1/a: d.1/a.jpg - d.1/a.txt -", "d.2/a: d.2/a.jpg - d.2/a.txt -"},
       0},
      {{"A.JPG", "A.Json"}, {"A: A.JPG A.Json - -"}, 0},
      {{"a.jpg", "a.txt", "notes.md", ".hidden.jpg", "d/._a.jpg", "00000_stats.json"},
       {"a: a.jpg - a.txt -"},
       4},
  };
  for (const Case& one : cases) {
    SourceReport report;
    EXPECT_EQ(samples_of(one.names, report), one.samples) << one.names[0];
    EXPECT_EQ(total(to_json(report.passed_over)), one.passed_over) << one.names[0];
  }
  SourceReport report;
  const Strings names = {"s.a.jpg", "s.b.jpg", "s.a.txt", "s.caption.txt", "s.json"};
  EXPECT_EQ(samples_of(names, report, "b.jpg", "caption.txt"),
            (Strings{"s: s.b.jpg - s.caption.txt -"}));
  EXPECT_EQ(total(to_json(report.passed_over)), 3);
}

TEST(Samples, TheContentTellsAnImageWithoutExtension) {
  const TemporaryFolder folder;
  TarWriter tar(folder / "t.tar");
  int number = 0;
  for (const char* key : {"bare", "twitter.jpg_large", "old.jfif", "odd.v2"}) {
    tar.add(key, encode_png(numbered_image(++number, 4, 4)));
    tar.add(std::string(key == std::string("odd.v2") ? "odd.v2" : fs::path(key).stem().string()) +
                ".txt",
            fmt::format("t{}", number));
  }
  tar.add("phone.heic", heic_head());
  tar.add("phone.txt", "t5");
  tar.add("bm.jpg", encode_png(numbered_image(9, 4, 4)));
  tar.add("bm.txt", "BMW");  // is a text, though it begins as a bitmap does
  tar.finish();
  const Json counts = ingest(options_for(folder / "out", folder / "t.tar")).counts;
  EXPECT_EQ(ingested(folder / "out"), (TagsByKey{{"t/bare", {"t1"}},
                                                 {"t/twitter", {"t2"}},
                                                 {"t/old", {"t3"}},
                                                 {"t/odd", {"t4"}},
                                                 {"t/bm", {"bmw"}}}));
  EXPECT_EQ(counts.at("splits").at("train").at("rejected"), (Json{{"other format", 1}}));
}

TEST(Samples, LinksAreTheirTargetsAndDanglingOnesAreListed) {
  const TemporaryFolder folder;
  const fs::path in = folder / "in";
  fs::create_directories(in / "b");
  write_file_atomic(in / "one.png", encode_png(numbered_image(1, 4, 4)));
  write_file_atomic(in / "one.json", R"({"tags": ["a"]})");
  write_file_atomic(in / "b/two.png", encode_png(numbered_image(2, 4, 4)));
  fs::create_symlink("../one.json", in / "b/two.json");
  fs::create_symlink("../one.png", in / "b/three.png");
  write_file_atomic(in / "b/three.txt", "linked");
  fs::create_symlink("nowhere.png", in / "b/gone.png");
  write_file_atomic(in / "b/gone.txt", "lost");
  const std::string command = fmt::format("tar -C '{}' -cf '{}' one.png one.json b", in.string(),
                                          (folder / "t.tar").string());
  ASSERT_EQ(std::system(command.c_str()), 0);
  auto options = options_for(folder / "out", folder / "t.tar");
  options.max_bad = 1;
  options.duplicates = Duplicates::keep;
  const Json counts = ingest(options).counts;
  EXPECT_EQ(ingested(folder / "out"),
            (TagsByKey{{"t/one", {"a"}}, {"t/b/two", {"a"}}, {"t/b/three", {"linked"}}}));
  EXPECT_EQ(counts.at("splits").at("train").at("rejected"), (Json{{"unreadable image", 1}}));
  EXPECT_NE(read_file(folder / "out/rejected.jsonl").find("link to 'b/nowhere.png'"),
            std::string::npos);
}

}  // namespace
}  // namespace hardmoe
