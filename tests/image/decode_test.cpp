// Decoding against Pillow and NumPy (references/make_images.py), and damaged files.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/random.h"
#include "expect_error.h"
#include "image/augment.h"
#include "image/codec.h"
#include "small_dataset.h"
#include "tensor/npy.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

const fs::path images = test_files() / "images";

int largest_difference(const Tensor& a, const Tensor& b) {
  int largest = 0;
  const auto x = a.as<uint8_t>();
  const auto y = b.as<uint8_t>();
  for (size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

TEST(Decode, EveryKindAgreesWithPillow) {
  testing::internal::CaptureStderr();
  int compared = 0;
  for (const auto& entry : fs::directory_iterator(images)) {
    if (entry.path().extension() == ".npy") continue;
    SCOPED_TRACE(entry.path().filename().string());
    const std::string bytes = read_file(entry.path());
    const Tensor image = decode_image(std::as_bytes(std::span(bytes)));
    fs::path reference = entry.path();
    const Tensor expected = load_npy(reference.replace_extension(".npy"));
    ASSERT_EQ(image.shape(), expected.shape());
    // Lossless formats are exact; versions of libjpeg and libwebp may round otherwise.
    const bool lossy = entry.path().extension() == ".jpg" || reference.stem() == "lossy";
    EXPECT_LE(largest_difference(image, expected), lossy ? 3 : 0);
    ++compared;
  }
  EXPECT_EQ(compared, 41);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "the codecs' warnings are not for users";
}

TEST(Decode, DamagedFilesAreRefusedWithAReason) {
  const auto refuse = [](const std::string& bytes, const std::string& reason) {
    expect_error([&] { decode_image(std::as_bytes(std::span(bytes))); }, {reason});
  };
  testing::internal::CaptureStderr();
  refuse("", "empty");
  refuse("GIF89a and more", "a GIF image, which is not read; convert it");
  refuse("BM, as it begins, is a word", "not an image of a known format");
  const std::string jpeg = read_file(images / "color.jpg");
  refuse(jpeg.substr(0, jpeg.size() - 25), "truncated JPEG");
  refuse(jpeg.substr(0, 30), "JPEG");
  const std::string png = read_file(images / "rgba.png");
  refuse(png.substr(0, png.size() - 100), "ends too early");
  std::string flipped = png;
  flipped[png.size() / 2] = static_cast<char>(flipped[png.size() / 2] ^ 0x40);
  refuse(flipped, "damaged PNG");
  const std::string webp = read_file(images / "lossless.webp");
  refuse(webp.substr(0, webp.size() / 2), "WebP");
  // 65535×65535 pixels in a header of 33 bytes: refused before any memory is taken.
  std::string bomb = read_file(images / "rgb.png");
  bomb.replace(16, 8, std::string("\x00\x00\xFF\xFF\x00\x00\xFF\xFF", 8));
  const std::string crc = "\x39\x67\x4E\x07";
  bomb.replace(29, 4, crc);
  refuse(bomb, "65535×65535 pixels");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Decode, OtherFormatsAreCalledByTheirNames) {
  const Json heads = read_json(test_files() / "photos/expected.json").at("heads");
  EXPECT_EQ(heads.size(), 26U);
  for (const auto& [writer, entry] : heads.items()) {
    const auto hex = entry.at(1).get<std::string>();
    std::string head;
    for (size_t i = 0; i < hex.size(); i += 2) {
      head += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    const auto bytes = std::as_bytes(std::span(head));
    const auto kind = entry.at(0).get<std::string>();
    EXPECT_EQ(known_image_format(bytes), kind) << writer;
    if (kind == "JPEG" || kind == "PNG" || kind == "WebP") continue;
    expect_error([&] { image_format(bytes); }, {kind + " image, which is not read; convert it"});
  }
  for (const std::string_view text :
       {"", "BMW, car", "P1 is a runway", "RIFF....WAVE", "{\"a\": 1}"}) {
    EXPECT_EQ(known_image_format(std::as_bytes(std::span(text))), "") << text;
  }
  for (const std::string_view text : {"<svg xmlns=\"http://www.w3.org/2000/svg\">",
                                      "<?xml version=\"1.0\"?>\n<!-- Inkscape -->\n<svg>"}) {
    EXPECT_EQ(known_image_format(std::as_bytes(std::span(text))), "SVG");
  }
}

TEST(Decode, TooManyPixelsAreRefused) {
  EXPECT_NO_THROW(check_pixels(13000, 13000));
  expect_error([] { check_pixels(20990, 29700); }, {"20990×29700"});
  expect_error([] { check_pixels(0, 5); }, {"0×5"});
}

TEST(Decode, MutatedFilesNeverDoMoreThanThrow) {
  Random random(1, RandomUse::test);
  int refused = 0;
  for (const auto& entry : fs::directory_iterator(images)) {
    if (entry.path().extension() == ".npy") continue;
    const std::string original = read_file(entry.path());
    for (int trial = 0; trial < 60; ++trial) {
      const std::string bytes = mutated(original, random);
      try {
        decode_image(std::as_bytes(std::span(bytes)));
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 300);
}

TEST(Encode, PngComesBackExactlyAndJpegNearly) {
  const Tensor image = load_npy(images / "color.npy");
  const std::string png = encode_png(image);
  EXPECT_EQ(largest_difference(decode_image(std::as_bytes(std::span(png))), image), 0);
  const std::string jpeg = encode_jpeg(image, 95);
  EXPECT_LE(largest_difference(decode_image(std::as_bytes(std::span(jpeg))), image), 24);
}

}  // namespace
}  // namespace hardmoe
