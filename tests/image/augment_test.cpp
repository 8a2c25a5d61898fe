// Crops against hand-worked cases.
#include "image/augment.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>

#include "expect_error.h"
#include "small_dataset.h"

namespace hardmoe {
namespace {

using Plane = std::vector<int>;  ///< one channel of a square, row by row

Tensor gray_image(const Plane& values, int64_t height, int64_t width) {
  std::vector<uint8_t> pixels;
  for (const int value : values) {
    for (int c = 0; c < 3; ++c) pixels.push_back(static_cast<uint8_t>(value + 50 * c));
  }
  return Tensor::from(pixels, {height, width, 3});
}

/// The first channel; checks that the others moved with it.
Plane plane_of(const std::vector<uint8_t>& pixels) {
  Plane plane;
  for (size_t i = 0; i < pixels.size(); i += 3) {
    EXPECT_EQ(pixels[i + 1] - pixels[i], 50);
    EXPECT_EQ(pixels[i + 2] - pixels[i], 100);
    plane.push_back(pixels[i]);
  }
  return plane;
}

TEST(Augment, PadCropIsAWindowOfTheReflectedImage) {
  const Tensor image = gray_image({0, 1, 2, 3, 4, 5, 6, 7, 8}, 3, 3);
  // numpy.pad(image, 1, mode="reflect"), by hand.
  const std::array<Plane, 5> padded = {
      {{4, 3, 4, 5, 4}, {1, 0, 1, 2, 1}, {4, 3, 4, 5, 4}, {7, 6, 7, 8, 7}, {4, 3, 4, 5, 4}}};
  AugmentConfig config;
  config.crop = Crop::pad;
  config.padding = 1;
  std::map<Plane, int> seen;
  for (uint64_t stream = 0; stream < 1800; ++stream) {
    const Random random(5, RandomUse::augment, stream);
    std::vector<uint8_t> out(27);
    augment(image, 3, config, random, out.data());
    Random draws = random;
    const size_t top = draws.below(3);
    const size_t left = draws.below(3);
    const bool flip = (draws.next_u32() & 1) != 0;
    Plane expected;
    for (size_t y = 0; y < 3; ++y) {
      for (size_t x = 0; x < 3; ++x) expected.push_back(padded[top + y][left + (flip ? 2 - x : x)]);
    }
    const Plane found = plane_of(out);
    ASSERT_EQ(found, expected);
    ++seen[found];
  }
  // 9 places × 2 directions; some look alike: the padded image is its own mirror image in places.
  EXPECT_GE(seen.size(), 12U);
}

TEST(Augment, PadCropOfALargerImageStartsFromItsCentre) {
  const Tensor wide = gray_image({9, 0, 1, 9, 9, 2, 3, 9}, 2, 4);
  AugmentConfig config;
  config.crop = Crop::pad;
  config.padding = 0;
  config.flip = false;
  std::vector<uint8_t> out(12);
  augment(wide, 2, config, Random(1, RandomUse::augment), out.data());
  EXPECT_EQ(plane_of(out), (Plane{0, 1, 2, 3}));
}

TEST(Augment, CenterCropTakesTheMiddle) {
  std::vector<uint8_t> out(12);
  center_crop(gray_image({9, 0, 1, 9, 9, 2, 3, 9}, 2, 4), 2, out.data());
  EXPECT_EQ(plane_of(out), (Plane{0, 1, 2, 3}));
  center_crop(gray_image({9, 9, 0, 1, 2, 3, 9, 9}, 4, 2), 2, out.data());
  EXPECT_EQ(plane_of(out), (Plane{0, 1, 2, 3}));
}

TEST(Augment, CenterRegionIsAShareOfTheShortSide) {
  const auto expect = [](Region found, int64_t top, int64_t left, int64_t side) {
    EXPECT_EQ(found.top, top);
    EXPECT_EQ(found.left, left);
    EXPECT_EQ(found.height, side);
    EXPECT_EQ(found.width, side);
  };
  expect(center_region(256, 320), 0, 32, 256);
  expect(center_region(256, 320, 0.875), 16, 48, 224);  // torchvision's 224 of 256
  expect(center_region(320, 256, 0.875), 48, 16, 224);
  expect(center_region(3, 5, 0.01), 1, 2, 1);
}

TEST(Augment, HalfOfTheImagesAreMirrored) {
  const Tensor image = gray_image({1, 2, 3, 4}, 2, 2);
  AugmentConfig config;
  config.crop = Crop::center;
  int mirrored = 0;
  for (uint64_t stream = 0; stream < 2000; ++stream) {
    std::vector<uint8_t> out(12);
    augment(image, 2, config, Random(5, RandomUse::augment, stream), out.data());
    const Plane found = plane_of(out);
    if (found == Plane{2, 1, 4, 3})
      ++mirrored;
    else
      ASSERT_EQ(found, (Plane{1, 2, 3, 4}));
  }
  EXPECT_NEAR(mirrored, 1000, 4 * 22.4);  // four standard deviations
}

TEST(Augment, RandomRegionsHaveTheAreasAsked) {
  AugmentConfig config;
  config.min_area = 0.25;
  config.max_area = 0.5;
  double sum = 0;
  double least = 1;
  double most = 0;
  double flattest = 1;
  constexpr int draws = 2000;
  for (uint64_t stream = 0; stream < draws; ++stream) {
    Random random(5, RandomUse::augment, stream);
    const Region region = random_region(200, 200, config, random);
    EXPECT_GE(std::min(region.top, region.left), 0);
    EXPECT_LE(std::max(region.top + region.height, region.left + region.width), 200);
    const auto height = static_cast<double>(region.height);
    const auto width = static_cast<double>(region.width);
    const double area = height * width / 40000;
    sum += area;
    least = std::min(least, area);
    most = std::max(most, area);
    flattest = std::min(flattest, std::min(height / width, width / height));
  }
  EXPECT_NEAR(sum / draws, 0.375, 0.006);  // uniform: mean 0.375, standard error 0.0016
  EXPECT_GT(least, 0.245);
  EXPECT_LT(most, 0.505);
  EXPECT_NEAR(flattest, 0.75, 0.01);
}

TEST(Augment, ARandomResizedCropShowsItsRegion) {
  // Green is the row, blue the column. Enlarged, a corner shows the corner pixel of the region, and
  // one end of a row the other end of its mirror image.
  const Tensor image = numbered_image(0, 200, 200);
  AugmentConfig config;
  for (uint64_t stream = 0; stream < 50; ++stream) {
    const Random random(5, RandomUse::augment, stream);
    std::vector<uint8_t> out(3 * 400 * 400);
    augment(image, 400, config, random, out.data());
    Random draws = random;
    const Region region = random_region(200, 200, config, draws);
    const bool flip = (draws.next_u32() & 1) != 0;
    const int64_t right = region.left + region.width - 1;
    EXPECT_EQ(out[1], region.top);
    EXPECT_EQ(out[2], flip ? right : region.left);
    EXPECT_EQ(out[out.size() - 2], region.top + region.height - 1);
    EXPECT_EQ(out[out.size() - 1], flip ? region.left : right);
  }
}

TEST(Augment, AnImageNoRegionFitsGivesItsCentre) {
  // One row: every draw is too high for it, so a square-ish centre of it is taken.
  const Tensor line = gray_image({9, 9, 9, 7, 9, 9, 9}, 1, 7);
  AugmentConfig config;
  config.min_area = 1;
  std::vector<uint8_t> out(3);
  augment(line, 1, config, Random(1, RandomUse::augment), out.data());
  EXPECT_EQ(plane_of(out), (Plane{7}));
}

TEST(Augment, ImpossibleSettingsAreUsageErrors) {
  AugmentConfig config;
  config.crop = Crop::pad;
  config.padding = 32;
  expect_error([&] { check_augment(config, 32); }, {"augment.padding", "31", "32"},
               ExitStatus::usage);
  config = {};
  config.min_area = 0.9;
  config.max_area = 0.5;
  expect_error([&] { check_augment(config, 32); }, {"min_area"}, ExitStatus::usage);
}

TEST(Augment, ConfigurationNamesTheCrops) {
  AugmentConfig config;
  apply_override("crop=pad", fields_of(config));
  EXPECT_EQ(config.crop, Crop::pad);
  expect_error([&] { apply_override("crop=pda", fields_of(config)); }, {"pad"}, ExitStatus::usage);
}

}  // namespace
}  // namespace hardmoe
