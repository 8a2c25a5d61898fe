// Photographs that img2dataset 1.47 stored unturned, with their orientation in its json's "exif"
// text (references/make_photos.py): quarters of red, green, blue and yellow when upright.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/text.h"
#include "data/dataset.h"
#include "data/tar.h"
#include "image/augment.h"
#include "image/image_metadata.h"
#include "ingest/ingest.h"
#include "ingest/sources/kinds.h"
#include "small_dataset.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

const fs::path photos = test_files() / "photos";

/// Whether the middle of each quarter has its colour.
bool is_upright(const Tensor& image) {
  if (image.size(1) <= image.size(0)) return false;
  const auto pixels = image.as<uint8_t>();
  const auto is = [&](int64_t row, int64_t column, const std::array<bool, 3>& bright) {
    const int64_t y = (2 * row + 1) * image.size(0) / 4, x = (2 * column + 1) * image.size(1) / 4;
    for (size_t c = 0; c < 3; ++c) {
      if ((pixels[static_cast<size_t>(3 * (y * image.size(1) + x)) + c] > 128) != bright[c])
        return false;
    }
    return true;
  };
  return is(0, 0, {true, false, false}) && is(0, 1, {false, true, false}) &&
         is(1, 0, {false, false, true}) && is(1, 1, {true, true, false});
}

class Img2dataset : public testing::Test {
 protected:
  Dataset dataset(const fs::path& tar) {
    options_.sources = {tar.string()};
    options_.source.columns.tags = {"caption"};
    options_.out = folder_ / "out";
    options_.duplicates = Duplicates::keep;
    ingest(options_);
    return Dataset::open(options_.out);
  }
  TemporaryFolder folder_;
  IngestOptions options_;
};

void expect_upright(const Dataset& data, int64_t count) {
  const Split& train = data.split("train");
  ASSERT_EQ(train.size(), count);
  for (int64_t i = 0; i < count; ++i) EXPECT_TRUE(is_upright(decode_image(train.image(i)))) << i;
}

TEST_F(Img2dataset, PhotographsAreTurnedByItsExifText) {
  const Dataset data = dataset(photos / "img2dataset.tar");
  expect_upright(data, 9);  // none, and orientations 1 to 8
  const Split& train = data.split("train");
  EXPECT_EQ(image_orientation(train.image(0)), 0);
  EXPECT_EQ(image_orientation(train.image(1)), 0) << "nothing to turn: the tar's own bytes";
  EXPECT_EQ(image_orientation(train.image(8)), 8);
  EXPECT_EQ(train.shards().size(), 2U) << "the tar itself, and one for those that are changed";
}

TEST_F(Img2dataset, PhotographsStoredAsWebpAreTurnedToo) {
  expect_upright(dataset(photos / "img2dataset_webp.tar"), 2);
}

TEST_F(Img2dataset, WhatIsWrittenAnewIsUprightItself) {
  options_.resize = 8;
  const Dataset data = dataset(photos / "img2dataset.tar");
  expect_upright(data, 9);
  EXPECT_EQ(image_orientation(data.split("train").image(6)), 0);
}

TEST_F(Img2dataset, PhotographsThatKeptTheirExifAreNotTurnedTwice) {
  expect_upright(dataset(photos / "img2dataset_kept.tar"), 3);
}

TEST_F(Img2dataset, PhotographsTurnedSinceAreNotTurnedAgain) {
  // As a script would that turns the pictures by the text and saves them without EXIF: the text
  // stays, and with it the size that img2dataset wrote.
  Tensor upright(DType::u8, {16, 24, 3});
  const auto pixels = upright.as<uint8_t>();
  for (size_t i = 0; i < 16 * 24; ++i) {
    const bool bottom = i / 24 >= 8, right = i % 24 >= 12;
    pixels[3 * i] = bottom == right ? 255 : 0;
    pixels[3 * i + 1] = right ? 255 : 0;
    pixels[3 * i + 2] = bottom && !right ? 255 : 0;
  }
  TarWriter tar(folder_ / "turned.tar");
  tar.add("1.png", encode_png(upright));
  tar.add("1.json", Json{{"caption", "quarters"},
                         {"exif", R"({"Image Orientation": "Rotated 90 CW"})"},
                         {"width", 16},
                         {"height", 24}}
                        .dump());
  tar.finish();
  expect_upright(dataset(folder_ / "turned.tar"), 1);
}

TEST(ExifText, OnlyWhatImg2datasetWritesIsTaken) {
  const auto orientation = [](const std::string& json) {
    SourceItem item;
    read_exif_text(Json::parse(json), item);
    return item.orientation;
  };
  EXPECT_EQ(orientation(R"({"exif": "{\"Image Orientation\": \"Rotated 180\"}", "width": 3})"), 3);
  for (const char* json :
       {R"({"exif": null})", R"({"exif": "{}"})", R"({"exif": "no json"})", R"({"exif": "[1]"})",
        R"({"exif": {"Image Orientation": 6}})", R"({"exif": "{\"Image Orientation\": 6}"})",
        R"({"exif": "{\"Thumbnail Orientation\": \"Rotated 90 CW\"}"})", "{}"}) {
    EXPECT_EQ(orientation(json), 0) << json;
  }
}

}  // namespace
}  // namespace hardmoe
