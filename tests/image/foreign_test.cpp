// Formats that moe-ingest writes anew as PNG, against what their files were made of or what Pillow
// reads of them (references/make_foreign_images.py); files that end early, damaged ones, and sizes
// that are refused before anything is decoded.
#include "image/foreign/foreign.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <thread>

#include "base/files.h"
#include "expect_error.h"
#include "image/keywords.h"
#include "tensor/npy.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

const fs::path foreign = test_files() / "foreign";

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

Tensor decode(std::string_view file) {
  const ForeignHeader header = foreign_header(bytes_of(file));
  return turn_upright(decode_foreign(bytes_of(file), header), header.orientation);
}

/// The module is built with the programs (the test foreign_images_module sees to it), but the
/// archive for cluster nodes does without.
class Foreign : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    if (!can_read_foreign(why)) GTEST_SKIP() << why;
    testing::internal::CaptureStderr();
  }
  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "the codecs' words are not for users";
  }
};

std::map<std::string, std::string> files_in(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path().extension() == ".npy") continue;
    files[entry.path().filename().string()] = read_file(entry.path());
  }
  return files;
}

Tensor expected_of(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return load_npy(foreign / (name + ".npy"));
}

int largest_difference(const Tensor& a, const Tensor& b) {
  int largest = 0;
  const auto x = a.as<uint8_t>();
  const auto y = b.as<uint8_t>();
  for (size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

/// What a decoder may differ by from the reference, and why.
int tolerance(const std::string& name) {
  if (name.ends_with(".avif")) return 3;  // versions of the AV1 decoders and of colour conversion
  if (name == "lossy.jp2" || name == "jpeg.tif") return 3;
  if (name == "gray16.tif" || name == "white_is_zero16.tif")
    return 1;  // libtiff cuts, does not round
  if (name == "cmyk.tif") return 1;
  if (name == "rgb555.bmp" || name == "rgb565.bmp") return 7;  // OpenCV fills up with zeros
  return 0;
}

TEST_F(Foreign, EveryKindAgreesWithItsReference) {
  const auto files = files_in(foreign);
  EXPECT_EQ(files.size(), 84U);
  for (const auto& [name, bytes] : files) {
    SCOPED_TRACE(name);
    const Tensor image = decode(bytes);
    const Tensor expected = expected_of(name);
    ASSERT_EQ(image.shape(), expected.shape());
    EXPECT_LE(largest_difference(image, expected), tolerance(name));
  }
}

TEST_F(Foreign, AreTheFormatsTheyAre) {
  EXPECT_EQ(foreign_format(bytes_of(read_file(foreign / "bigtiff.tif"))), ForeignFormat::tiff);
  EXPECT_EQ(foreign_format(bytes_of(read_file(foreign / "lossless.j2k"))), ForeignFormat::jpeg2000);
  EXPECT_EQ(foreign_format(bytes_of(read_file(foreign / "animated.avif"))), ForeignFormat::avif);
  EXPECT_FALSE(foreign_format(bytes_of(read_file(test_files() / "images/rgb.png"))));
  expect_error([] { foreign_header(bytes_of("text")); }, {"not a TIFF, BMP"});
}

TEST_F(Foreign, AFileThatEndsBeforeItsPictureDoesIsRefused) {
  for (const auto& [name, bytes] : files_in(foreign)) {
    // What follows the first picture is not looked at, and these end with what pictures need not.
    if (name.starts_with("animated") || name == "two_pages.tif") continue;
    const size_t spare = name.ends_with(".gif") ? 2 : name == "rle8.bmp" ? 5 : 1;
    for (const size_t size : {size_t{5}, bytes.size() / 8, bytes.size() / 2, bytes.size() * 7 / 8,
                              bytes.size() - spare}) {
      EXPECT_THROW(decode(std::string_view(bytes).substr(0, size)), Error)
          << name << ", " << size << " of " << bytes.size() << " bytes";
    }
  }
}

TEST_F(Foreign, ReasonsSayWhatIsWrong) {
  const auto refuse = [](const std::string& bytes, const std::vector<std::string>& words) {
    expect_error([&] { decode(bytes); }, words);
  };
  const auto cut = [](const char* name, size_t off) {
    const std::string bytes = read_file(foreign / name);
    return bytes.substr(0, bytes.size() - off);
  };
  refuse(cut("strips.tif", 9), {"truncated TIFF: strip 7 of 7 ends behind the file's"});
  refuse(cut("tiled.tif", 9), {"truncated TIFF: tile 6 of 6"});
  refuse(cut("rgb.bmp", 1), {"truncated BMP: its 35×26 pixels end behind"});
  refuse(cut("rle8.bmp", 40), {"BMP", "end of input"});
  refuse(cut("lossless.jp2", 9), {"truncated JPEG 2000: a box ends behind the file's"});
  refuse(cut("lossless.j2k", 9), {"a JPEG 2000 that cannot be decoded", "Decoding is failed"});
  refuse(cut("palette.gif", 9),
         {"a GIF that cannot be decoded: it ends, or is damaged, within its first picture"});
  refuse(cut("lossy.avif", 9), {"an AVIF that cannot be decoded: Truncated data"});
  // Damage inside a strip, of which OpenCV would show the rows before it, and black behind.
  std::string strips = read_file(foreign / "strips.tif");
  for (size_t i = 0; i < 40; ++i) strips[strips.size() - 60 + i] = '\x55';
  refuse(strips, {"a TIFF that cannot be decoded: "});
  std::string palette = read_file(foreign / "palette.gif");
  palette.replace(palette.size() - 200, 40, std::string(40, '\xFF'));
  refuse(palette, {"GIF"});
}

TEST_F(Foreign, KindsThatWouldBeReadWronglyAreNamed) {
  const std::map<std::string, std::string> reasons = {
      {"cmyk16.tif", "CMYK with 16 bits a sample"},
      {"gray_alpha16.tif", "16-bit gray with transparency"},
      {"float.tif", "floating-point samples"},
      {"lab.tif", "CIELab"},
      {"thumbnail.tif", "a camera's raw file"},
      {"bit_fields_rgbx.bmp", "colours in an unusual order"},
      {"gray_alpha.jp2", "2 components"},
      {"sycc.jp2", "colour space sYCC"},
  };
  const auto files = files_in(foreign / "refused");
  EXPECT_EQ(files.size(), reasons.size());
  for (const auto& [name, bytes] : files) {
    expect_error([&] { decode(bytes); }, {reasons.at(name)});
  }
}

TEST_F(Foreign, AnAbsurdSizeIsRefusedBeforeDecoding) {
  const auto with = [](const char* name, size_t at, const std::string& bytes) {
    std::string file = read_file(foreign / name);
    file.replace(at, bytes.size(), bytes);
    return file;
  };
  const auto refuse = [](const std::string& file) {
    const ForeignHeader header = foreign_header(bytes_of(file));
    EXPECT_EQ(header.size.width, 60000);
    EXPECT_EQ(header.size.height, 60000);
    expect_error([&] { decode_foreign(bytes_of(file), header); },
                 {"an image of 60000×60000 pixels; at most 178 million"});
  };
  const std::string little16("\x60\xEA", 2), little32("\x60\xEA\0\0", 4), big32("\0\0\xEA\x60", 4);
  refuse(with("palette.gif", 6, little16 + little16));
  refuse(with("rle8.bmp", 18, little32 + little32));
  const std::string j2k = read_file(foreign / "lossless.j2k");
  refuse(with("lossless.j2k", 8, big32 + big32));
  // The directory's entries of width and length, of type SHORT.
  std::string tiff = read_file(foreign / "rgb.tif");
  const size_t width = tiff.find(std::string("\x00\x01", 2), 8), length = tiff.find("\x01\x01", 8);
  ASSERT_NE(width, std::string::npos);
  tiff.replace(width + 8, 2, little16);
  tiff.replace(length + 8, 2, little16);
  refuse(tiff);
  // libavif has the limit from us, and refuses what its boxes say.
  std::string avif = read_file(foreign / "lossy.avif");
  const size_t extents = avif.find("ispe");
  ASSERT_NE(extents, std::string::npos);
  avif.replace(extents + 8, 8, big32 + big32);
  expect_error([&] { foreign_header(bytes_of(avif)); }, {"an AVIF that cannot be decoded: "});
  // A picture of many samples within the limit of pixels, but not of memory.
  refuse(with("lossless.j2k", 8, big32 + big32));
  std::string large = with("lossless.j2k", 8, std::string("\0\0\x2E\xE0\0\0\x2E\xE0", 8));
  expect_error([&] { decode(large); },
               {"JPEG 2000 of 12000×12000 pixels takes", "at most 1073 MB"});
}

TEST_F(Foreign, MutatedHeadersAreDecodedOrRefused) {
  // Each byte of the headers of small files set to a few values: an image or an error, nothing
  // else.
  for (const char* name : {"strips.tif", "bigtiff.tif", "rgba_v4.bmp", "canvas.gif"}) {
    const std::string bytes = read_file(foreign / name);
    for (size_t at = 4; at < std::min<size_t>(bytes.size(), 120); ++at) {
      for (const char value : {'\0', '\x01', '\x7F', '\xFF'}) {
        std::string changed = bytes;
        changed[at] = value;
        try {
          foreign_header(bytes_of(changed));
        } catch (const Error&) {
        }
      }
    }
  }
}

TEST_F(Foreign, ThreadsDecodeAtOnce) {
  const auto files = files_in(foreign);
  std::vector<std::string> faults(4);
  std::vector<std::thread> threads;
  for (std::string& fault : faults) {
    threads.emplace_back([&] {
      for (const auto& [name, bytes] : files) {
        if (largest_difference(decode(bytes), expected_of(name)) > tolerance(name)) fault = name;
        try {
          decode(std::string_view(bytes).substr(0, bytes.size() / 2));
        } catch (const Error&) {
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(faults, std::vector<std::string>(4));
}

TEST(ForeignKeywords, AreReadOutOfTiffAndJpeg2000) {
  const auto keywords_of = [](const char* name) {
    auto words = embedded_keywords(bytes_of(read_file(foreign / name)));
    std::sort(words.begin(), words.end());
    return words;
  };
  EXPECT_EQ(keywords_of("keywords.tif"),
            (std::vector<std::string>{"a", "boats", "harbour", "sunset"}));
  EXPECT_EQ(keywords_of("keywords.jp2"), (std::vector<std::string>{"boats", "harbour"}));
}

}  // namespace
}  // namespace hardmoe
