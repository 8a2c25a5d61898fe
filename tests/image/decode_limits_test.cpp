// Work and memory that decoding an image may take: each limit's own sentence, reached with little
// and harmless input, and signals.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "base/error.h"
#include "base/signals.h"
#include "expect_error.h"
#include "image/augment.h"
#include "image/codec.h"
#include "image/codec_jpeg.h"
#include "image/view_maker.h"
#include "small_dataset.h"
#include "test_files.h"

namespace hardmoe {
namespace {

const std::filesystem::path images = test_files() / "images";

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string jpeg_segment(int marker, const std::string& data) {
  const size_t length = data.size() + 2;
  return std::string{'\xFF', static_cast<char>(marker), static_cast<char>(length >> 8),
                     static_cast<char>(length)} +
         data;
}

/// A valid progressive JPEG of one gray block (ITU-T T.81, G.1): a scan for its mean, then one for
/// each coefficient, and for each of its bits again, up to `scans`, at most 883.
std::string many_scans(int scans) {
  std::string file = "\xFF\xD8" + jpeg_segment(0xDB, '\0' + std::string(64, '\1')) +
                     jpeg_segment(0xC2, std::string("\x08\0\x08\0\x08\x01\x01\x11\0", 9)) +
                     jpeg_segment(0xC4, '\0' + std::string{'\1'} + std::string(15, '\0') + '\0') +
                     jpeg_segment(0xC4, '\x10' + std::string{'\1'} + std::string(15, '\0') + '\0');
  const std::string zero = "\x7F";  // the one code there is, of one bit, then ones to fill the byte
  file += jpeg_segment(0xDA, std::string("\1\1\0\0\0\0", 6)) + zero;
  for (int coefficient = 1, bit = 13, scan = 1; scan < scans; ++scan) {
    const int before = bit == 13 ? 0 : bit + 1;
    const auto k = static_cast<char>(coefficient);
    file +=
        jpeg_segment(0xDA, {'\1', '\1', '\0', k, k, static_cast<char>(before << 4 | bit)}) + zero;
    if (bit-- == 0) {
      bit = 13;
      ++coefficient;
    }
  }
  return file + "\xFF\xD9";
}

TEST(DecodeLimits, AJpegOfVeryManyScansIsRefused) {
  const Tensor gray = decode_image(bytes_of(many_scans(max_scans)));
  EXPECT_EQ(gray.as<uint8_t>()[0], 128);
  expect_error([] { decode_image(bytes_of(many_scans(max_scans + 1))); },
               {"a JPEG of more than 500 scans", "8×8"});
  expect_error([] { decode_image(bytes_of(many_scans(883))); }, {"more than 500 scans"});
  // As training reads it, and the picture after it as if nothing had been.
  ViewMaker maker(8, Purpose::evaluation, {});
  std::vector<uint8_t> view(3 * 8 * 8);
  const std::string many = many_scans(600), few = many_scans(10);
  maker.open(bytes_of(many));
  expect_error([&] { maker.write(Random(0, RandomUse::augment), view.data()); }, {"500 scans"});
  maker.open(bytes_of(few));
  maker.write(Random(0, RandomUse::augment), view.data());
  EXPECT_EQ(view[0], 128);
}

TEST(DecodeLimits, LargerPicturesMayHaveFewerScans) {
  // 20000×8000 in the header: 25 scans are the limit, and the data end long before the first.
  std::string file = many_scans(30);
  const size_t frame = file.find("\xFF\xC2");
  file.replace(frame + 5, 4, std::string("\x1F\x40\x4E\x20", 4));
  expect_error([&] { decode_image(bytes_of(file)); }, {"truncated JPEG"});
}

TEST(DecodeLimits, MemoryIsBoundedBeforeItIsTaken) {
  // Headers of 12,000×14,000 pixels: RGB alone would be 504 MB.
  std::string jpeg = many_scans(2);
  const size_t frame = jpeg.find("\xFF\xC2");
  jpeg.replace(frame + 5, 4, std::string("\x36\xB0\x2E\xE0", 4));  // gray: 2 bytes a pixel more
  expect_error([&] { decode_image(bytes_of(jpeg)); }, {"truncated JPEG"});
  std::string color = read_file(images / "progressive.jpg");  // 4:2:0: 3 bytes a pixel more
  const size_t color_frame = color.find("\xFF\xC2");
  ASSERT_NE(color_frame, std::string::npos);
  color.replace(color_frame + 5, 4, std::string("\x36\xB0\x2E\xE0", 4));
  expect_error([&] { decode_image(bytes_of(color)); }, {"truncated JPEG"});
  color[color_frame + 11] = '\x11';  // 4:4:4: 6 bytes a pixel more
  expect_error([&] { decode_image(bytes_of(color)); },
               {"a progressive JPEG of 12000×14000 pixels takes", "at most 1073 MB"});
  expect_error([] { check_decode_memory(max_decode_bytes + 1, "a PNG", 3, 4); }, {"a PNG of 3×4"});
  EXPECT_NO_THROW(check_decode_memory(max_decode_bytes, "a PNG", 3, 4));
  EXPECT_LE(6 * max_pixels, max_decode_bytes) << "any image can be turned upright";
}

/// The flag that a signal sets stays: a process of its own.
void stop_while_decoding(const std::string& bytes) {
  install_signal_handlers();
  std::raise(SIGTERM);
  try {
    decode_image(bytes_of(bytes));
  } catch (const Error& error) {
    std::exit(static_cast<int>(error.status()));
  }
  std::exit(0);
}

TEST(DecodeLimitsDeathTest, SigtermStopsADecodeButNotAView) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  for (const char* name : {"color.jpg", "progressive.jpg", "rgba_interlaced.png", "rgb.png",
                           "lossy.webp", "alpha.webp"}) {
    const std::string bytes = read_file(images / name);
    EXPECT_EXIT(stop_while_decoding(bytes), testing::ExitedWithCode(75), "") << name;
  }
  EXPECT_EXIT(
      {
        install_signal_handlers();
        std::raise(SIGTERM);
        for (const char* name : {"color.jpg", "rgb.png", "lossy.webp"}) {
          ViewMaker maker(4, Purpose::evaluation, {});
          std::vector<uint8_t> view(3 * 4 * 4);
          const std::string bytes = read_file(images / name);
          maker.open(bytes_of(bytes));
          maker.write(Random(0, RandomUse::augment), view.data());
        }
        std::exit(7);
      },
      testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace hardmoe
