// Images of formats that training does not read become PNGs of the dataset's shards, from every
// kind of source; the rest stays where it is.
#include <gtest/gtest.h>

#include <map>

#include "base/text.h"
#include "data/dataset.h"
#include "image/augment.h"
#include "image/foreign/foreign.h"
#include "ingest/ingest.h"
#include "ingest/verify.h"
#include "small_dataset.h"
#include "temporary_folder.h"
#include "tensor/npy.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

const fs::path foreign = test_files() / "foreign";

class ForeignImages : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    if (!can_read_foreign(why)) GTEST_SKIP() << why;
    fs::create_directories(folder_ / "in/tag");
    options_.out = folder_ / "out";
    options_.sources = {(folder_ / "in").string()};
    options_.max_bad = 1;
  }

  void add(const std::string& name, const std::string& bytes) {
    overwrite(folder_ / "in/tag" / name, bytes);
  }
  void add(const std::string& name) { add(name, read_file(foreign / name)); }

  std::map<std::string, std::string> rejected() {
    std::map<std::string, std::string> reasons;
    for (const auto& line : split(read_file(options_.out / "rejected.jsonl"), '\n')) {
      if (line.empty()) continue;
      const Json entry = parse_json(line, "rejected.jsonl");
      reasons[entry["key"]] =
          fmt::format("{}: {}", entry["reason"].get<std::string>(), entry.value("detail", ""));
    }
    return reasons;
  }

  /// Format and pixels of the training images by key.
  std::map<std::string, std::pair<ImageFormat, Tensor>> kept() {
    const Dataset data = Dataset::open(options_.out);
    const Split& train = data.split("train");
    std::map<std::string, std::pair<ImageFormat, Tensor>> found;
    for (int64_t i = 0; i < train.size(); ++i) {
      found.try_emplace(train.key(i), image_format(train.image(i)), decode_image(train.image(i)));
    }
    return found;
  }

  static void expect_pixels(const Tensor& image, const std::string& reference) {
    const Tensor expected = load_npy(foreign / (reference + ".npy"));
    ASSERT_EQ(image.shape(), expected.shape()) << reference;
    EXPECT_TRUE(std::ranges::equal(image.as<uint8_t>(), expected.as<uint8_t>())) << reference;
  }

  TemporaryFolder folder_;
  IngestOptions options_;
};

TEST_F(ForeignImages, BecomePngsOfAFoldersDataset) {
  for (const char* name : {"tiled.tif", "turned6.tif", "rgba_v4.bmp", "lossless.jp2", "rgba.jp2",
                           "transparent.gif", "lossless.avif"}) {
    add(name);
  }
  add("wrong_name.jpg", read_file(foreign / "two_pages.tif"));
  options_.duplicates = Duplicates::keep;
  ingest(options_);
  const auto images = kept();
  ASSERT_EQ(images.size(), 8U);
  for (const auto& [key, image] : images) EXPECT_EQ(image.first, ImageFormat::png) << key;
  expect_pixels(images.at("tag/tiled").second, "tiled_tif");
  expect_pixels(images.at("tag/turned6").second, "turned6_tif");  // upright once, and for good
  expect_pixels(images.at("tag/rgba_v4").second, "rgba_v4_bmp");
  expect_pixels(images.at("tag/transparent").second, "transparent_gif");
  expect_pixels(images.at("tag/wrong_name").second, "two_pages_tif");
  EXPECT_NE(read_file(options_.out / "shards/train-000000.tar").find("tag/lossless-2.png"),
            std::string::npos);
  EXPECT_EQ(verify_dataset(options_.out).faults, std::vector<std::string>());
}

TEST_F(ForeignImages, OfATarTheOthersStayInPlace) {
  {
    TarWriter tar(folder_ / "mixed.tar");
    tar.add("a.png", encode_png(numbered_image(1, 8, 8)));
    tar.add("a.txt", "one");
    tar.add("b.tif", read_file(foreign / "rgb16.tif"));
    tar.add("b.txt", "two");
    tar.add("c.gif", read_file(foreign / "interlaced.gif"));
    tar.add("c.txt", "one");
    tar.finish();
  }
  options_.sources = {(folder_ / "mixed.tar").string()};
  ingest(options_);
  const Dataset data = Dataset::open(options_.out);
  const Split& train = data.split("train");
  ASSERT_EQ(train.size(), 3);
  std::map<std::string, std::string> shards;
  const Json record = read_json(options_.out / "dataset.json");
  for (int64_t i = 0; i < train.size(); ++i) {
    const auto path = record.at("shards").at(train.shard_of(i)).at("path").get<std::string>();
    shards[train.key(i)] = fs::path(path).filename().string();
  }
  EXPECT_EQ(shards, (std::map<std::string, std::string>{{"mixed/a", "mixed.tar"},
                                                        {"mixed/b", "train-000000.tar"},
                                                        {"mixed/c", "train-000000.tar"}}));
  expect_pixels(kept().at("mixed/b").second, "rgb16_tif");
  EXPECT_EQ(verify_dataset(options_.out).faults, std::vector<std::string>());
}

TEST_F(ForeignImages, AreFoundByListsWithoutTheirExtension) {
  fs::create_directories(folder_ / "photos");
  overwrite(folder_ / "photos/x.tif", read_file(foreign / "rgb.tif"));
  overwrite(folder_ / "list.jsonl", json_of("x", {"a"}));
  options_.sources = {(folder_ / "list.jsonl").string()};
  options_.source.images = {folder_ / "photos"};
  ingest(options_);
  EXPECT_EQ(kept().size(), 1U);
}

TEST_F(ForeignImages, KeywordsInsideThemAreTags) {
  add("keywords.tif");
  add("keywords.jp2");
  options_.source.format = "photos";
  options_.duplicates = Duplicates::keep;
  ingest(options_);
  const std::string tags = read_file(options_.out / "tags.tsv");
  for (const char* tag : {"harbour", "boats", "sunset"})
    EXPECT_NE(tags.find(tag), std::string::npos);
}

TEST_F(ForeignImages, AreShrunkAsOthersAre) {
  add("turned6.tif");
  options_.resize = 13;
  ingest(options_);
  const auto images = kept();
  EXPECT_EQ(images.at("tag/turned6").first, ImageFormat::png);
  EXPECT_EQ(images.at("tag/turned6").second.size(1), 13);
  EXPECT_GT(images.at("tag/turned6").second.size(0), 13);
}

TEST_F(ForeignImages, SizeAndDamageAreListed) {
  add("good.png", encode_png(numbered_image(9, 30, 30)));
  std::string huge = read_file(foreign / "palette.gif");
  huge.replace(6, 4, "\xFF\xFF\xFF\xFF");
  add("huge.gif", huge);
  add("keywords.tif");  // 8×8
  add("canvas.gif");    // 41×30
  const std::string tiff = read_file(foreign / "strips.tif");
  add("cut.tif", tiff.substr(0, tiff.size() - 30));
  const std::string avif = read_file(foreign / "lossy.avif");
  add("cut_too.avif", avif.substr(0, avif.size() - 30));
  add("sycc.jp2", read_file(foreign / "refused/sycc.jp2"));
  add("phone.heic", heic_head());
  options_.min_size = 10;
  options_.max_aspect = 1.36;  // canvas.gif has 1.37, the others 1.35
  ingest(options_);
  auto reasons = rejected();
  EXPECT_EQ(reasons.at("tag/huge"), "too large: 65535×65535 pixels");
  EXPECT_EQ(reasons.at("tag/keywords"), "too small: 8×8 pixels");
  EXPECT_EQ(reasons.at("tag/canvas"), "too elongated: 41×30 pixels");
  EXPECT_NE(reasons.at("tag/cut").find("unreadable image: truncated TIFF"), std::string::npos);
  EXPECT_NE(reasons.at("tag/cut_too").find("unreadable image: an AVIF"), std::string::npos);
  EXPECT_NE(reasons.at("tag/sycc").find("unreadable image: a JPEG 2000 of colour space sYCC"),
            std::string::npos);
  EXPECT_EQ(reasons.at("tag/phone"), "other format: HEIC; convert it to PNG or JPEG");
  EXPECT_EQ(kept().size(), 1U);
}

}  // namespace
}  // namespace hardmoe
