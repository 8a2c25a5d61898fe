// Resampling against Pillow (references/make_views.py), plain arithmetic, and hand-worked cases.
#include "image/resize.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "base/random.h"
#include "image/codec.h"
#include "small_dataset.h"
#include "tensor/npy.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

const fs::path views = test_files() / "views";

Tensor picture() {
  const std::string bytes = read_file(views / "photo.jpg");
  return decode_jpeg(std::as_bytes(std::span(bytes)), OnSignal::finish).pixels;
}

Tensor resized(const PixelView& view, const Box& box, int64_t height, int64_t width,
               Mirror mirror = Mirror::no) {
  Tensor out(DType::u8, {height, width, 3});
  Resizer().resize(view, box, height, width, mirror, out.as<uint8_t>().data());
  return out;
}

/// The largest and the mean difference of two pictures, in levels.
std::pair<int, double> difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  const auto x = a.as<uint8_t>();
  const auto y = b.as<uint8_t>();
  int largest = 0;
  double sum = 0;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    const int apart = std::abs(x[i] - y[i]);
    largest = std::max(largest, apart);
    sum += apart;
  }
  return {largest, sum / static_cast<double>(x.size())};
}

TEST(Resize, AgreesWithPillow) {
  const Tensor photo = picture();
  const Json cases = Json::parse(read_file(views / "cases.json"))["resizes"];
  ASSERT_EQ(cases.size(), 7U);
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(cases[i].dump());
    const auto region = cases[i]["region"].get<std::vector<int64_t>>();
    const auto box = cases[i]["box"].get<std::vector<double>>();
    const auto to = cases[i]["to"].get<std::vector<int64_t>>();
    const PixelView view = view_of(view_of(photo), {region[0], region[1], region[2], region[3]});
    const Tensor out = resized(view, {box[0], box[1], box[2], box[3]}, to[0], to[1]);
    const auto [largest, mean] = difference(out, load_npy(views / fmt::format("resize_{}.npy", i)));
    EXPECT_LE(largest, 2);  // Pillow's weights have 22 bits, ours 8
    EXPECT_LE(mean, 0.3);
  }
}

TEST(Resize, VectorsComputeWhatPlainArithmeticDoes) {
  // The definition, a pixel at a time, over sizes that leave every kind of remainder.
  const Tensor photo = picture();
  Random random(3, RandomUse::test);
  Resizer resizer;  // one for all: sizes come and go
  for (int trial = 0; trial < 200; ++trial) {
    const auto below = [&](int64_t bound) {
      return static_cast<int64_t>(random.below(static_cast<uint64_t>(bound)));
    };
    const int64_t height = 1 + below(60);
    const int64_t width = 1 + below(trial % 4 == 0 ? 8 : 90);
    const PixelView view =
        view_of(view_of(photo), {below(240 - height), below(320 - width), height, width});
    const double top = random.uniform_double() * 0.9;
    const double left = random.uniform_double() * 0.9;
    const Box box{top, left, static_cast<double>(height) - top - 0.05,
                  static_cast<double>(width) - left - 0.05};
    const int64_t to_height = 1 + below(40);
    const int64_t to_width = 1 + below(40);
    const Mirror mirror = trial % 2 == 0 ? Mirror::no : Mirror::yes;
    AxisWeights rows, columns;
    set_axis_weights(box.top, box.height, height, to_height, rows);
    set_axis_weights(box.left, box.width, width, to_width, columns);
    std::vector<uint8_t> expected, line(static_cast<size_t>(3 * width));
    for (int64_t y = 0; y < to_height; ++y) {
      for (int64_t at = 0; at < 3 * width; ++at) {
        int sum = 128;
        for (int64_t k = 0; k < rows.count[static_cast<size_t>(y)]; ++k) {
          sum += rows.weights[static_cast<size_t>(y * rows.taps + k)] *
                 view.data[(rows.first[static_cast<size_t>(y)] + k) * view.stride + at];
        }
        line[static_cast<size_t>(at)] = static_cast<uint8_t>(sum / 256);
      }
      for (int64_t i = 0; i < to_width; ++i) {
        const int64_t x = mirror == Mirror::yes ? to_width - 1 - i : i;
        for (int64_t c = 0; c < 3; ++c) {
          int sum = 128;
          for (int64_t k = 0; k < columns.count[static_cast<size_t>(x)]; ++k) {
            sum += columns.weights[static_cast<size_t>(x * columns.taps + k)] *
                   line[static_cast<size_t>(3 * (columns.first[static_cast<size_t>(x)] + k) + c)];
          }
          expected.push_back(static_cast<uint8_t>(sum / 256));
        }
      }
    }
    // Guarded by bytes that must not change.
    std::vector<uint8_t> out(expected.size() + 64, 77);
    resizer.resize(view, box, to_height, to_width, mirror, out.data());
    ASSERT_TRUE(std::equal(expected.begin(), expected.end(), out.begin()))
        << height << "×" << width << " to " << to_height << "×" << to_width;
    ASSERT_TRUE(std::all_of(out.end() - 64, out.end(), [](uint8_t value) { return value == 77; }));
  }
}

TEST(Resize, WeightsSumToOneAndStayWithinTheBox) {
  for (const double length : {0.3, 1.0, 5.5, 17.0, 300.0}) {
    for (const int64_t outputs : {1, 7, 224}) {
      AxisWeights axis;
      set_axis_weights(2.25, length, 310, outputs, axis);
      for (int64_t i = 0; i < outputs; ++i) {
        const auto at = static_cast<size_t>(i);
        int sum = 0;
        for (int64_t k = 0; k < axis.taps; ++k) {
          const int weight = axis.weights[static_cast<size_t>(i * axis.taps + k)];
          sum += weight;
          EXPECT_TRUE(k < axis.count[at] || weight == 0);
        }
        EXPECT_EQ(sum, 256);
        EXPECT_GE(axis.first[at], 2);
        EXPECT_LE(static_cast<double>(axis.first[at] + axis.count[at]), std::ceil(2.25 + length));
      }
    }
  }
}

TEST(Resize, TheSameSizeIsACopyAndItsMirrorImage) {
  const Tensor image = numbered_image(9, 20, 31);
  EXPECT_EQ(difference(resized(view_of(image), {0, 0, 20, 31}, 20, 31), image).first, 0);
  const Tensor mirrored = resized(view_of(image), {0, 0, 20, 31}, 20, 31, Mirror::yes);
  for (int64_t x = 0; x < 31; ++x) {
    EXPECT_EQ(mirrored.as<uint8_t>()[static_cast<size_t>(3 * x + 2)], 30 - x);
  }
}

TEST(Resize, HalvingWeighsNeighboursByDistance) {
  // Four rows of one value each: the triangle is two pixels wide to either side, so that row 0 of 2
  // is (3·0 + 3·80 + 1·160)/7, its fourth row lying outside.
  std::vector<uint8_t> pixels;
  for (const int value : {0, 80, 160, 240})
    pixels.insert(pixels.end(), 3, static_cast<uint8_t>(value));
  const Tensor image = Tensor::from(pixels, {4, 1, 3});
  const Tensor small = resized(view_of(image), {0, 0, 4, 1}, 2, 1);
  EXPECT_NEAR(small.as<uint8_t>()[0], 400 / 7.0, 1);
  EXPECT_NEAR(small.as<uint8_t>()[3], 240 - 400 / 7.0, 1);
}

TEST(Resize, TheShortSideIsShrunkAndNothingEnlarged) {
  const Tensor image(DType::u8, {10, 30, 3});
  EXPECT_EQ(shrink_short_side(image, 10).shape(), image.shape());
  EXPECT_EQ(shrink_short_side(image, 64).shape(), image.shape());
  EXPECT_EQ(shrink_short_side(image, 5).shape(), (Shape{5, 15, 3}));
  const Tensor expected = load_npy(views / "resize_0.npy");  // 325×243 to 32×24
  const auto [largest, mean] = difference(shrink_short_side(picture(), 24), expected);
  EXPECT_LE(largest, 2);
  EXPECT_LE(mean, 0.3);
}

}  // namespace
}  // namespace hardmoe
