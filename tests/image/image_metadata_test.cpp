// What images hold besides pixels, against what exiftool and Pillow read of the same bytes
// (references/make_photos.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "expect_error.h"
#include "image/augment.h"
#include "image/codec.h"
#include "image/exif.h"
#include "image/image_metadata.h"
#include "small_dataset.h"
#include "tensor/npy.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

const fs::path images = test_files() / "images";
const fs::path photos = test_files() / "photos";

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

TEST(Exif, OrientationIsReadOfEveryTypeAndByteOrderThatExiftoolReads) {
  const Json expected = read_json(photos / "expected.json").at("orientations");
  EXPECT_EQ(expected.size(), 50U);
  for (const auto& [what, entry] : expected.items()) {
    // UNDEFINED is read by exiftool where it is one byte, by ImageMagick also where it is two.
    if (what.find("UNDEFINED 2") == std::string::npos) {
      EXPECT_EQ(entry.at("exiftool"), Json::array({"6"})) << what;
    }
    const std::string tiff = from_hex(entry.at("tiff").get<std::string>());
    EXPECT_EQ(exif_orientation(bytes_of(tiff)), 6) << what;
  }
}

TEST(Exif, WhatIsNoOrientationIsToldFromNone) {
  std::string tiff = exif_with_orientation({}, 3);
  EXPECT_EQ(exif_orientation(bytes_of(tiff)), 3);
  for (const char value : {'\0', '\x09', '\x7F'}) {
    tiff[18] = value;
    EXPECT_EQ(exif_orientation(bytes_of(tiff)), 0);
  }
  tiff[10] = 0x0F;  // tag 0x010F, the camera's maker
  tiff[11] = 0x01;
  EXPECT_EQ(exif_orientation(bytes_of(tiff)), std::nullopt);
  for (size_t cut = 0; cut < tiff.size(); ++cut) {
    EXPECT_EQ(exif_orientation(bytes_of(tiff.substr(0, cut))), std::nullopt);
  }
}

TEST(Exif, AnOrientationIsAddedToWhatIsThere) {
  // As cameras write it: big-endian, the maker (ASCII, behind the directory) and the resolution's
  // unit, and no orientation; then with a wrong one.
  for (const std::string& middle :
       {std::string(), std::string("\x01\x12\0\x03\0\0\0\x01\0\0\0\0", 12)}) {
    const size_t entries = middle.empty() ? 2 : 3;
    const size_t maker = 8 + 2 + 12 * entries + 4;
    std::string tiff("MM\0*\0\0\0\x08\0", 9);
    tiff += static_cast<char>(entries);
    tiff += std::string("\x01\x0F\0\x02\0\0\0\x07\0\0\0", 11) + static_cast<char>(maker);
    tiff += middle + std::string("\x01\x28\0\x03\0\0\0\x01\0\x02\0\0", 12);
    tiff += std::string("\0\0\0\0", 4) + std::string("Camera\0", 7);
    const std::string turned = exif_with_orientation(bytes_of(tiff), 8);
    EXPECT_EQ(exif_orientation(bytes_of(turned)), 8);
    EXPECT_EQ(turned.substr(8, tiff.size() - 8), tiff.substr(8)) << "what was there stays";
    const std::string directory("\0\x03\x01\x0F\0\x02\0\0\0\x07\0\0\0", 13);
    EXPECT_EQ(turned.substr(tiff.size() + tiff.size() % 2, 13), directory);
  }
}

TEST(Orientation, IsFoundWhereverPillowFindsIt) {
  for (const char* name :
       {"raw_exif0.png", "raw_exif1.png", "xmp_turned.jpg", "xmp_turned.png", "xmp_turned.webp"}) {
    const std::string bytes = read_file(photos / name);
    EXPECT_EQ(image_orientation(bytes_of(bytes)), 6) << name;
    const Tensor upright = decode_image(bytes_of(bytes));
    EXPECT_GT(upright.size(0), upright.size(1)) << name << " is stored as 16×12";
  }
  EXPECT_EQ(image_orientation(bytes_of(read_file(images / "color.jpg"))), 0);
  EXPECT_EQ(image_orientation(bytes_of(read_file(images / "exif1.jpg"))), 1);
  EXPECT_EQ(image_orientation(bytes_of(read_file(images / "exif_png.png"))), 6);
  EXPECT_EQ(image_orientation(bytes_of(read_file(images / "exif_webp.webp"))), 6);
  EXPECT_EQ(image_orientation(bytes_of("no image at all")), 0);
}

TEST(WithOrientation, TurnsEveryKindOfImageAndNothingElse) {
  for (const char* name :
       {"color.jpg", "progressive.jpg", "cmyk.jpg", "gray_jpeg.jpg", "rgb.png",
        "rgba_interlaced.png", "palette_alpha.png", "lossless.webp", "lossy.webp", "alpha.webp"}) {
    SCOPED_TRACE(name);
    const std::string original = read_file(images / name);
    const Tensor stored = decode_image(bytes_of(original));
    for (int orientation = 2; orientation <= 8; ++orientation) {
      const std::string turned = with_orientation(bytes_of(original), orientation);
      EXPECT_EQ(image_orientation(bytes_of(turned)), orientation);
      const Tensor upright = decode_image(bytes_of(turned));
      const Tensor expected = turn_upright(stored, orientation);
      ASSERT_EQ(upright.shape(), expected.shape());
      EXPECT_TRUE(std::ranges::equal(upright.as<uint8_t>(), expected.as<uint8_t>()));
      const std::string back = with_orientation(bytes_of(turned), 1);
      EXPECT_EQ(image_orientation(bytes_of(back)), 1);
      EXPECT_TRUE(
          std::ranges::equal(decode_image(bytes_of(back)).as<uint8_t>(), stored.as<uint8_t>()));
    }
  }
}

TEST(WithOrientation, CountsMoreThanWhatATextHolds) {
  for (const char* name : {"raw_exif0.png", "raw_exif1.png", "xmp_turned.png"}) {
    const std::string turned = with_orientation(bytes_of(read_file(photos / name)), 3);
    EXPECT_EQ(image_orientation(bytes_of(turned)), 3) << name;
  }
}

TEST(WithOrientation, KeepsOtherMetadata) {
  for (const char* name : {"plain.jpg", "three.jpg", "explorer.jpg", "xmp.png", "xmp.webp"}) {
    SCOPED_TRACE(name);
    const std::string original = read_file(photos / name);
    const std::string turned = with_orientation(bytes_of(original), 6);
    const auto kinds = [](const std::string& file) {
      std::vector<std::string> found;
      for_each_metadata(bytes_of(file), [&](MetadataKind kind, std::string_view data) {
        if (kind != MetadataKind::exif) found.emplace_back(data);
        return true;
      });
      return found;
    };
    EXPECT_EQ(kinds(turned), kinds(original));
    if (std::string_view(name) == "plain.jpg") {
      EXPECT_NE(turned.find("Somebody"), std::string::npos);
    }
  }
}

TEST(WithOrientation, RefusesWhatEndsTooEarlyAndSurvivesMutation) {
  expect_error([] { with_orientation(bytes_of("GIF89a"), 6); }, {"GIF"});
  const std::string png = read_file(images / "rgb.png");
  expect_error([&] { with_orientation(bytes_of(png.substr(0, 40)), 6); }, {"ends too early"});
  const std::string webp = read_file(images / "lossy.webp");
  expect_error([&] { with_orientation(bytes_of(webp.substr(0, 20)), 6); }, {"ends too early"});
  Random random(1, RandomUse::test);
  for (const auto& folder : {images, photos}) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".npy" || entry.path().extension() == ".tar") continue;
      const std::string original = read_file(entry.path());
      for (int trial = 0; trial < 40; ++trial) {
        const std::string bytes = mutated(original, random);
        image_orientation(bytes_of(bytes));
        try {
          with_orientation(bytes_of(bytes), 6);
        } catch (const Error&) {
        }
      }
    }
  }
}

}  // namespace
}  // namespace hardmoe
