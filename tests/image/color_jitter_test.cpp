// Changes of colour beside what Pillow makes of the same image, by the same factors.
#include "image/color_jitter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "expect_error.h"
#include "image/augment.h"
#include "small_dataset.h"
#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe {
namespace {

std::vector<uint8_t> bytes_of(const Tensor& tensor) {
  const auto values = tensor.as<uint8_t>();
  return {values.begin(), values.end()};
}

TEST(ColorJitter, ChangesAreThoseOfPillow) {
  const StateDict stored = load_safetensors(test_file("color_jitter.safetensors"));
  const std::vector<uint8_t> image = bytes_of(stored.at("image"));
  const std::pair<const char*, ColorChange> kinds[] = {{"brightness", ColorChange::brightness},
                                                       {"contrast", ColorChange::contrast},
                                                       {"saturation", ColorChange::saturation}};
  for (const auto& [name, kind] : kinds) {
    for (const char* factor : {"0.0", "0.7", "0.93", "1.0", "1.3", "1.97"}) {
      std::vector<uint8_t> changed = image;
      change_colors(kind, std::stof(factor), changed);
      EXPECT_EQ(changed, bytes_of(stored.at(fmt::format("{}_{}", name, factor))))
          << name << ' ' << factor;
    }
  }
  std::vector<uint8_t> changed = image;
  change_colors(ColorChange::brightness, 1.3F, changed);
  change_colors(ColorChange::saturation, 0.7F, changed);
  change_colors(ColorChange::contrast, 1.2F, changed);
  EXPECT_EQ(changed, bytes_of(stored.at("all")));
}

TEST(ColorJitter, DrawsEveryOrderAndKeepsToItsStrength) {
  // Gray pixels: saturation changes nothing, and brightness alone moves their mean.
  std::set<int> means;
  int least = 255, greatest = 0;
  for (uint64_t stream = 0; stream < 500; ++stream) {
    std::vector<uint8_t> pixels(300, 100);
    Random random(7, RandomUse::augment, stream);
    jitter_colors(0.3, random, pixels);
    least = std::min<int>(least, pixels[0]);
    greatest = std::max<int>(greatest, pixels[0]);
    means.insert(pixels[0]);
  }
  EXPECT_GE(least, 69);
  EXPECT_LE(greatest, 130);
  EXPECT_LT(least, 75);
  EXPECT_GT(greatest, 125);
  EXPECT_GT(means.size(), 40U);
}

TEST(ColorJitter, TrainingViewsHaveItBehindTheirOtherDraws) {
  const StateDict stored = load_safetensors(test_file("color_jitter.safetensors"));
  AugmentConfig plain{.crop = Crop::pad, .padding = 2}, jittered = plain;
  jittered.jitter = 0.3;
  constexpr int size = 16;
  std::vector<uint8_t> expected(3 * size * size), found(expected.size());
  int changed = 0;
  for (uint64_t stream = 0; stream < 20; ++stream) {
    const Random random(5, RandomUse::augment, stream);
    augment(stored.at("image"), size, plain, random, expected.data());
    augment(stored.at("image"), size, jittered, random, found.data());
    changed += found != expected ? 1 : 0;
    Random draws = random;  // the row, the column, whether to mirror
    draws.below(5);
    draws.below(5);
    draws.next_u32();
    jitter_colors(0.3, draws, expected);
    EXPECT_EQ(found, expected);
  }
  EXPECT_EQ(changed, 20);
}

TEST(ColorJitter, RefusesAStrengthOutsideItsRange) {
  for (const double strength : {-0.1, 1.5, std::nan("")}) {
    expect_error([&] { check_augment({.jitter = strength}, 32); }, {"augment.jitter", "0 to 1"},
                 ExitStatus::usage);
  }
}

}  // namespace
}  // namespace hardmoe
