// What becomes of odd images and hostile archives, each as its content is: the files are Pillow's
// (references/make_images.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "base/text.h"
#include "data/dataset.h"
#include "expect_error.h"
#include "image/augment.h"
#include "image/resize.h"
#include "ingest/ingest.h"
#include "ingest/near_duplicates.h"
#include "small_dataset.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

const fs::path images = test_files() / "images";

/// Ingests a folder "in/tag" of these files; what was rejected, by key without the folder.
class OddImages : public testing::Test {
 protected:
  OddImages() {
    fs::create_directories(folder_ / "in/tag");
    options_.sources = {(folder_ / "in").string()};
    options_.out = folder_ / "out";
    options_.max_bad = 1;
    add("good.png", encode_png(numbered_image(200, 20, 20)));
  }

  void add(const std::string& name, const std::string& bytes) {
    overwrite(folder_ / "in/tag" / name, bytes);
  }

  std::map<std::string, std::string> rejected() {
    ingest(options_);
    std::map<std::string, std::string> reasons;
    for (const auto& line : split(read_file(options_.out / "rejected.jsonl"), '\n')) {
      if (line.empty()) continue;
      const Json entry = parse_json(line, "rejected.jsonl");
      reasons[entry["key"].get<std::string>().substr(4)] =
          fmt::format("{}: {}", entry["reason"].get<std::string>(), entry.value("detail", ""));
    }
    return reasons;
  }

  std::map<std::string, Tensor> kept() {
    const Dataset data = Dataset::open(options_.out);
    std::map<std::string, Tensor> found;
    const Split& train = data.split("train");
    for (int64_t i = 0; i < train.size(); ++i) {
      found.emplace(train.key(i).substr(4), decode_image(train.image(i)));
    }
    return found;
  }

  TemporaryFolder folder_;
  IngestOptions options_;
};

TEST_F(OddImages, EveryKindOfPixelBecomesEightBitRgbUpright) {
  for (const char* name : {"cmyk.jpg", "gray16.png", "rgba16.png", "palette.png", "bilevel.png",
                           "palette_alpha.png", "progressive.jpg", "exif6.jpg", "exif_png.png"}) {
    add(name, read_file(images / name));
  }
  options_.resize = 5;  // written anew
  EXPECT_EQ(rejected(), (std::map<std::string, std::string>{}));
  const auto small = kept();
  for (const auto& [key, image] : small) {
    EXPECT_EQ(image.size(2), 3);
    EXPECT_EQ(std::min(image.size(0), image.size(1)), 5) << key;
  }
  // A picture on its side is upright, and is written without its EXIF.
  const Tensor upright = load_npy(images / "exif6.npy");
  EXPECT_EQ(small.at("exif6").size(0) > small.at("exif6").size(1),
            upright.size(0) > upright.size(1));
}

/// `count` bytes of a number, the last first.
std::string little_endian(size_t number, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(number >> (8 * i));
  return bytes;
}

std::string riff_chunk(const std::string& name, const std::string& data) {
  return name + little_endian(data.size(), 4) + data + std::string(data.size() % 2, '\0');
}

/// Twice the still WebP's picture (RIFF container, "Animation").
std::string animated_webp(const std::string& still) {
  const ImageSize size = image_size(std::as_bytes(std::span(still)));
  const std::string extent = little_endian(static_cast<size_t>(size.width - 1), 3) +
                             little_endian(static_cast<size_t>(size.height - 1), 3);
  const std::string frame = riff_chunk(
      "ANMF", std::string(6, '\0') + extent + little_endian(100, 3) + '\0' + still.substr(12));
  return riff_chunk("RIFF", "WEBP" + riff_chunk("VP8X", "\x02" + std::string(3, '\0') + extent) +
                                riff_chunk("ANIM", std::string(6, '\0')) + frame + frame);
}

std::string png_chunk(const std::string& name, const std::string& data) {
  uint32_t crc = ~0U;  // ISO 3309
  for (const char c : name + data) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  std::string length = little_endian(data.size(), 4), check = little_endian(~crc, 4);
  std::reverse(length.begin(), length.end());
  std::reverse(check.begin(), check.end());
  return length + name + data + check;
}

/// The PNG with the chunks of a second picture, as APNG has them.
std::string animated_png(const std::string& still) {
  constexpr size_t header_end = 8 + 25;
  const std::string control = still.substr(16, 8) + std::string(14, '\0');
  const auto number = [](char n) { return std::string(3, '\0') + n; };
  return still.substr(0, header_end) + png_chunk("acTL", number(2) + number(0)) +
         png_chunk("fcTL", number(0) + control) +
         still.substr(header_end, still.size() - header_end - 12) +
         png_chunk("fcTL", number(1) + control) + png_chunk("fdAT", number(2) + "x") +
         png_chunk("IEND", "");
}

TEST_F(OddImages, OfAnAnimationTheFirstPictureIsTakenOrNone) {
  const std::string png = read_file(images / "rgb.png");
  add("moves.png", animated_png(png));
  const std::string webp = animated_webp(read_file(images / "lossless.webp"));
  add("moves_too.webp", webp);
  EXPECT_EQ(rejected(),
            (std::map<std::string, std::string>{
                {"moves_too", "unreadable image: animated WebP; only still images are accepted"}}));
  const Tensor still = decode_image(std::as_bytes(std::span(png)));
  EXPECT_TRUE(std::ranges::equal(kept().at("moves").as<uint8_t>(), still.as<uint8_t>()));
}

TEST_F(OddImages, WhatIsNoWholeImageIsListedWithTheReason) {
  const std::string jpeg = read_file(images / "color.jpg");
  const std::string png = read_file(images / "rgb.png");
  add("zero.jpg", "");
  add("cut.jpg", jpeg.substr(0, jpeg.size() - 25));
  add("cut2.png", png.substr(0, png.size() / 2));
  add("text.jpg", "<html>404 not found</html>");
  add("heic.jpg", heic_head());
  add("gif.jpg", "GIF89a\x01");
  // The content decides what an image is, and its name in a shard.
  add("really_png.jpg", png);
  const auto reasons = rejected();
  EXPECT_EQ(reasons.size(), 6U);
  EXPECT_EQ(reasons.at("zero"), "unreadable image: the image is empty");
  EXPECT_NE(reasons.at("cut").find("unreadable image: "), std::string::npos);
  EXPECT_EQ(reasons.at("text"), "unreadable image: an HTML page, not an image");
  EXPECT_EQ(reasons.at("heic"), "other format: HEIC; convert it to PNG or JPEG");
  EXPECT_NE(reasons.at("gif").find("GIF"), std::string::npos);
  EXPECT_TRUE(kept().contains("really_png"));
  EXPECT_NE(read_file(options_.out / "shards/train-000000.tar").find("tag/really_png.png"),
            std::string::npos);
}

TEST_F(OddImages, SizesAreLookedAtBeforeDecoding) {
  std::string bomb = read_file(images / "rgb.png");  // 65535×65535 in its header
  bomb.replace(16, 8, std::string("\x00\x00\xFF\xFF\x00\x00\xFF\xFF", 8));
  add("bomb.png", bomb);
  add("small.png", encode_png(numbered_image(1, 9, 40)));
  add("long.png", encode_png(numbered_image(2, 10, 31)));
  add("wide.jpg", encode_jpeg(numbered_image(3, 10, 30), 90));
  add("large.png", encode_png(numbered_image(4, 50, 50)));
  options_.max_pixels = 2499;
  options_.min_size = 10;
  options_.max_aspect = 3;
  EXPECT_EQ(rejected(),
            (std::map<std::string, std::string>{{"bomb", "too large: 65535×65535 pixels"},
                                                {"large", "too large: 50×50 pixels"},
                                                {"small", "too small: 40×9 pixels"},
                                                {"long", "too elongated: 31×10 pixels"}}));
}

TEST(ImageSizes, AreThoseOfTheDecodedImage) {
  for (const auto& entry : fs::directory_iterator(images)) {
    if (entry.path().extension() == ".npy") continue;
    const std::string bytes = read_file(entry.path());
    const ImageSize size = image_size(std::as_bytes(std::span(bytes)));
    const Tensor image = decode_image(std::as_bytes(std::span(bytes)));
    EXPECT_EQ(std::minmax(size.width, size.height), std::minmax(image.size(1), image.size(0)))
        << entry.path();
  }
}

TEST(HostileTar, LeadsOutOfNoFolder) {
  const TemporaryFolder folder;
  {
    TarWriter tar(folder / "h.tar");
    int number = 0;
    for (const char* key : {"/etc/passwd", "../../up", "a/../../b", "link"}) {
      tar.add(std::string(key) + ".png", encode_png(numbered_image(++number, 4, 4)));
      tar.add(std::string(key) + ".json", R"({"tags": ["t"]})");
    }
    tar.finish();
  }
  // The fourth image becomes a symbolic link to a file outside.
  std::string bytes = read_file(folder / "h.tar");
  const size_t at = bytes.find("link.png");
  bytes[at + 156] = '2';
  bytes.replace(at + 124, 12, std::string("00000000000\0", 12));
  bytes.replace(at + 157, 11, "/etc/shadow");
  bytes.replace(at + 148, 8, 8, ' ');
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(bytes[at + i]);
  bytes.replace(at + 148, 7, fmt::format("{:06o}", sum) + '\0');
  // A link has no data: its blocks are taken out.
  bytes.erase(at + 512, 512);
  overwrite(folder / "h.tar", bytes);
  IngestOptions options;
  options.sources = {(folder / "h.tar").string()};
  options.out = folder / "out";
  options.storage = ShardStorage::copy;
  ingest(options);
  const Dataset data = Dataset::open(options.out);
  std::vector<std::string> keys;
  for (int64_t i = 0; i < data.split("train").size(); ++i) {
    keys.push_back(data.split("train").key(i));
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"h/etc/passwd", "h/up", "h/a/b"}));
  const std::string rejected = read_file(options.out / "rejected.jsonl");
  EXPECT_NE(rejected.find("link to '/etc/shadow', which is outside the archive"),
            std::string::npos);
  EXPECT_NE(rejected.find(R"("reason":"outside")"), std::string::npos);
}

TEST(NearDuplicates, GroupsAreThoseOfAllPairs) {
  Random random(3, RandomUse::test);
  std::vector<uint64_t> hashes;
  for (int i = 0; i < 1500; ++i) {
    // Every third is an earlier one with a few bits changed.
    uint64_t hash = i % 3 == 2 ? hashes[random.below(hashes.size())] : random.next_u64();
    for (uint64_t flips = i % 3 == 2 ? random.below(7) : 0; flips > 0; --flips) {
      hash ^= uint64_t{1} << random.below(64);
    }
    hashes.push_back(hash);
  }
  for (const int distance : {0, 1, 2, 4, 8}) {
    std::vector<uint32_t> expected(hashes.size());
    for (uint32_t i = 0; i < expected.size(); ++i) expected[i] = i;
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = 0; i < hashes.size(); ++i) {
        for (size_t j = 0; j < i; ++j) {
          if (std::popcount(hashes[i] ^ hashes[j]) > distance || expected[i] == expected[j]) {
            continue;
          }
          expected[i] = expected[j] = std::min(expected[i], expected[j]);
          changed = true;
        }
      }
    }
    EXPECT_EQ(group_near_duplicates(hashes, distance), expected) << distance;
  }
}

TEST_F(OddImages, NearDuplicatesAreDroppedWhereAskedFor) {
  // A pattern of waves, the same as a JPEG of quality 60, and brighter at half the size.
  const auto pattern = [](uint64_t seed) {
    Random waves(seed, RandomUse::test);
    float a[12];
    for (float& value : a) value = waves.uniform();
    Tensor image(DType::u8, {96, 96, 3});
    const auto pixels = image.as<uint8_t>();
    for (size_t i = 0; i < pixels.size() / 3; ++i) {
      const auto y = static_cast<float>(i / 96) / 96, x = static_cast<float>(i % 96) / 96;
      float value = 110;
      for (int k = 0; k < 6; ++k) {
        value += 25 * std::sin(6.3F * (a[2 * k] * x * 4 + a[2 * k + 1] * y * 4));
      }
      for (size_t c = 0; c < 3; ++c) {
        pixels[3 * i + c] = static_cast<uint8_t>(std::clamp(value, 0.0F, 240.0F));
      }
    }
    return image;
  };
  add("a.png", encode_png(pattern(1)));
  add("b.jpg", encode_jpeg(pattern(1), 60));
  Tensor bright = shrink_short_side(pattern(1), 48);
  for (uint8_t& pixel : bright.as<uint8_t>()) pixel = static_cast<uint8_t>(pixel + 10);
  add("c.png", encode_png(bright));
  add("d.png", encode_png(pattern(2)));
  EXPECT_TRUE(rejected().empty());
  options_.near_duplicates = 4;
  options_.out = folder_ / "near";
  EXPECT_EQ(rejected(),
            (std::map<std::string, std::string>{{"b", "near duplicate: looks like tag/a"},
                                                {"c", "near duplicate: looks like tag/a"}}));
}

}  // namespace
}  // namespace hardmoe
