// Views made of parts of files: against the whole file decoded, Pillow and torchvision
// (references/make_views.py).
#include <gtest/gtest.h>

#include "base/json.h"
#include "expect_error.h"
#include "image/codec_jpeg.h"
#include "image/view_maker.h"
#include "small_dataset.h"
#include "tensor/npy.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

const fs::path files = test_files();
const fs::path views = files / "views";

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

int64_t draw(Random& random, int64_t bound) {
  return static_cast<int64_t>(random.below(static_cast<uint64_t>(bound)));
}

Region draw_region(Random& random, int64_t height, int64_t width) {
  const int64_t h = 1 + draw(random, height);
  const int64_t w = 1 + draw(random, width);
  return {draw(random, height - h + 1), draw(random, width - w + 1), h, w};
}

double mean_difference(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) sum += std::abs(a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

/// Whether the part's pixels are those of `whole` from (top, left) on.
bool is_part(const PixelView& part, const Tensor& whole, int64_t top, int64_t left) {
  const PixelView expected = view_of(view_of(whole), {top, left, part.height, part.width});
  for (int64_t y = 0; y < part.height; ++y) {
    if (!std::equal(part.data + y * part.stride, part.data + y * part.stride + 3 * part.width,
                    expected.data + y * expected.stride)) {
      return false;
    }
  }
  return true;
}

TEST(JpegDecoder, APartIsWhatTheWholeHoldsThere) {
  JpegDecoder decoder(OnSignal::finish);  // one for all kinds, as in training
  std::vector<uint8_t> memory;
  Random random(1, RandomUse::test);
  for (const char* name : {"views/photo.jpg", "views/half.jpg", "views/full.jpg",
                           "views/quarter.jpg", "views/progressive.jpg", "views/gray.jpg",
                           "views/turned.jpg", "images/cmyk.jpg", "images/color.jpg"}) {
    const std::string file = read_file(files / name);
    const Tensor whole = decode_jpeg(bytes_of(file), OnSignal::finish).pixels;
    for (int trial = 0; trial < 300; ++trial) {
      const Region region = draw_region(random, whole.size(0), whole.size(1));
      const ImageHeader header = decoder.open(bytes_of(file));
      ASSERT_EQ(header.height, whole.size(0));
      ASSERT_EQ(header.width, whole.size(1));
      const DecodedPart part = decoder.read(region, 1, memory);
      ASSERT_EQ(part.pixels.height, region.height);
      ASSERT_EQ(part.pixels.width, region.width);
      ASSERT_EQ(part.box.top, 0);
      ASSERT_EQ(part.box.left, 0);
      ASSERT_TRUE(is_part(part.pixels, whole, region.top, region.left))
          << name << ": " << region.height << "×" << region.width << " at " << region.top << ", "
          << region.left;
    }
  }
}

TEST(JpegDecoder, ReducedPicturesAreThoseOfPillowsDraftMode) {
  const std::string file = read_file(views / "photo.jpg");
  JpegDecoder decoder(OnSignal::finish);
  std::vector<uint8_t> memory;
  Random random(2, RandomUse::test);
  for (const int reduction : {2, 4, 8}) {
    const Tensor whole = load_npy(views / fmt::format("draft_{}.npy", reduction));
    for (int trial = 0; trial < 200; ++trial) {
      const Region region = trial == 0 ? Region{0, 0, 243, 325} : draw_region(random, 243, 325);
      decoder.open(bytes_of(file));
      const DecodedPart part = decoder.read(region, reduction, memory);
      const int64_t top = region.top / reduction;
      const int64_t left = region.left / reduction;
      ASSERT_TRUE(is_part(part.pixels, whole, top, left)) << "1/" << reduction;
      ASSERT_EQ((part.box.top + static_cast<double>(top)) * reduction,
                static_cast<double>(region.top));
      ASSERT_EQ(part.box.width * reduction, static_cast<double>(region.width));
      ASSERT_LE(part.box.left + part.box.width, static_cast<double>(part.pixels.width));
      ASSERT_LE(part.box.top + part.box.height, static_cast<double>(part.pixels.height));
    }
  }
}

TEST(JpegDecoder, ReducedPixelsAreNearlyTheMeanOfThoseTheyReplace) {
  const Tensor whole =
      decode_jpeg(bytes_of(read_file(views / "photo.jpg")), OnSignal::finish).pixels;
  for (const int64_t reduction : {2, 4, 8}) {
    const Tensor reduced = load_npy(views / fmt::format("draft_{}.npy", reduction));
    double sum = 0;
    const int64_t height = 243 / reduction;
    const int64_t width = 325 / reduction;
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < 3 * width; ++x) {
        double mean = 0;
        for (int64_t v = 0; v < reduction; ++v) {
          for (int64_t u = 0; u < reduction; ++u) {
            const int64_t row = y * reduction + v;
            const int64_t column = (x / 3 * reduction + u) * 3 + x % 3;
            mean += whole.as<uint8_t>()[static_cast<size_t>(row * 3 * 325 + column)];
          }
        }
        mean /= static_cast<double>(reduction * reduction);
        sum += std::abs(mean -
                        reduced.as<uint8_t>()[static_cast<size_t>(y * 3 * reduced.size(1) + x)]);
      }
    }
    EXPECT_LE(sum / static_cast<double>(3 * height * width), 1.0) << "1/" << reduction;
  }
}

TEST(JpegDecoder, DamageIsReportedAndForgotten) {
  const std::string whole = read_file(views / "photo.jpg");
  const std::string half = whole.substr(0, whole.size() / 2);
  JpegDecoder decoder(OnSignal::finish);
  std::vector<uint8_t> memory;
  decoder.open(bytes_of(half));
  expect_error([&] { decoder.read({0, 0, 243, 325}, 1, memory); }, {"truncated JPEG"});
  decoder.open(bytes_of(half));
  EXPECT_EQ(decoder.read({0, 0, 40, 325}, 1, memory).pixels.height, 40);  // above the damage
  expect_error([&] { decoder.open(bytes_of(whole.substr(0, 100))); }, {"truncated JPEG"});
  decoder.open(bytes_of(whole));
  const DecodedPart part = decoder.read({100, 100, 50, 50}, 1, memory);
  EXPECT_TRUE(
      is_part(part.pixels, decode_jpeg(bytes_of(whole), OnSignal::finish).pixels, 100, 100));
}

TEST(View, AgreesWithTorchvision) {
  // The crop's own decoding, reduction and resampling, against the whole picture decoded, cut and
  // resized. Where it is decoded at reduced size the view is sharper than torchvision's: the
  // blocks' means do not overlap, as the filter of a resize does.
  const std::string file = read_file(views / "photo.jpg");
  const Json cases = Json::parse(read_file(views / "cases.json"))["views"];
  JpegDecoder decoder(OnSignal::finish);
  Resizer resizer;
  std::vector<uint8_t> memory;
  std::map<int, int> seen;
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(cases[i].dump());
    const auto r = cases[i]["region"].get<std::vector<int64_t>>();
    const Region region{r[0], r[1], r[2], r[3]};
    const auto size = cases[i]["size"].get<int64_t>();
    const Mirror mirror = cases[i]["mirror"].get<bool>() ? Mirror::yes : Mirror::no;
    const int reduction = decode_reduction(region, size);
    ++seen[reduction];
    decoder.open(bytes_of(file));
    const DecodedPart part = decoder.read(region, reduction, memory);
    std::vector<uint8_t> out(static_cast<size_t>(3 * size * size));
    resizer.resize(part.pixels, part.box, size, size, mirror, out.data());
    const Tensor expected = load_npy(views / fmt::format("view_{}.npy", i));
    EXPECT_LE(mean_difference(out, expected.as<uint8_t>()), reduction == 1 ? 0.3 : 3.0);
  }
  EXPECT_EQ(seen, (std::map<int, int>{{1, 3}, {2, 1}, {8, 1}}));
}

TEST(View, ReductionLeavesTheCropAtLeastItsSize) {
  EXPECT_EQ(decode_reduction({0, 0, 448, 448}, 224), 2);
  EXPECT_EQ(decode_reduction({0, 0, 447, 2000}, 224), 1);
  EXPECT_EQ(decode_reduction({0, 0, 900, 896}, 224), 4);
  EXPECT_EQ(decode_reduction({0, 0, 5000, 5000}, 224), 8);
}

/// The view of a file, and that of the same image turned upright and decoded first.
void compare_with_whole(const std::string& file, int64_t size, const AugmentConfig& config) {
  const Tensor upright = decode_image(bytes_of(file));
  ViewMaker maker(size, Purpose::training, config);
  ViewMaker evaluation(size, Purpose::evaluation, config);
  const auto bytes = static_cast<size_t>(3 * size * size);
  std::vector<uint8_t> out(bytes), expected(bytes);
  for (uint64_t stream = 0; stream < 40; ++stream) {
    const Random random(4, RandomUse::augment, stream);
    maker.open(bytes_of(file));
    const int64_t kept_bytes = maker.kept_bytes();
    maker.write(random, out.data());
    augment(upright, static_cast<int>(size), config, random, expected.data());
    ASSERT_LE(mean_difference(out, expected), 0.3);
    // From memory exactly the same.
    ASSERT_GT(kept_bytes, 0);
    maker.open(bytes_of(file));
    const StoredImage kept = maker.decode_kept();
    ASSERT_EQ(static_cast<int64_t>(kept.pixels.bytes()), kept_bytes);
    std::vector<uint8_t> again(bytes);
    maker.write(kept, random, again.data());
    ASSERT_EQ(again, out);
  }
  evaluation.open(bytes_of(file));
  evaluation.write(Random(0, RandomUse::augment), out.data());
  center_crop(upright, static_cast<int>(size), expected.data());
  EXPECT_LE(mean_difference(out, expected), 0.3);
}

TEST(View, EveryKindOfFileGivesTheViewsOfItsUprightPixels) {
  int compared = 0;
  for (const auto& folder : {files / "images", views}) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".npy" || entry.path().extension() == ".json") continue;
      SCOPED_TRACE(entry.path().filename().string());
      const std::string file = read_file(entry.path());
      AugmentConfig config;
      for (const Crop crop : {Crop::random_resized, Crop::pad, Crop::center}) {
        config.crop = crop;
        compare_with_whole(file, folder == views ? 130 : 12, config);
      }
      ++compared;
    }
  }
  EXPECT_EQ(compared, 41 + 7);
}

TEST(View, ImagesSeenAtReducedSizeAreNotKept) {
  const std::string file = read_file(views / "photo.jpg");
  ViewMaker large(162, Purpose::training, {});
  large.open(bytes_of(file));
  EXPECT_EQ(large.kept_bytes(), 3 * 243 * 325);
  ViewMaker small(100, Purpose::training, {});
  small.open(bytes_of(file));
  EXPECT_EQ(small.kept_bytes(), 0);
  // A square is always the same one.
  ViewMaker centre(100, Purpose::evaluation, {});
  centre.open(bytes_of(file));
  EXPECT_EQ(centre.kept_bytes(), 3 * 100 * 100);
}

}  // namespace
}  // namespace hardmoe
