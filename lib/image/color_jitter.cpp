#include "image/color_jitter.h"

#include <algorithm>
#include <array>
#include <utility>

namespace hardmoe {
namespace {

/// ITU-R 601-2 luma, rounded as Pillow's convert('L').
int luma(const uint8_t* pixel) {
  return (19595 * pixel[0] + 38470 * pixel[1] + 7471 * pixel[2] + 0x8000) >> 16;
}

/// `from` is moved to `to` at factor 1, and beyond; decimals are cut off, as Pillow's blend() does.
uint8_t blend(int from, uint8_t to, float factor) {
  const float value = static_cast<float>(from) + factor * static_cast<float>(to - from);
  return static_cast<uint8_t>(std::clamp(value, 0.0F, 255.0F));
}

int mean_luma(std::span<const uint8_t> pixels) {
  double sum = 0;
  for (size_t i = 0; i < pixels.size(); i += 3) sum += luma(&pixels[i]);
  return static_cast<int>(sum / (static_cast<double>(pixels.size()) / 3) + 0.5);
}

}  // namespace

void change_colors(ColorChange change, float factor, std::span<uint8_t> pixels) {
  if (factor == 1 || pixels.empty()) return;
  const int of_all = change == ColorChange::contrast ? mean_luma(pixels) : 0;
  for (size_t i = 0; i < pixels.size(); i += 3) {
    const int from = change == ColorChange::saturation ? luma(&pixels[i]) : of_all;
    for (size_t c = i; c < i + 3; ++c) pixels[c] = blend(from, pixels[c], factor);
  }
}

void jitter_colors(double strength, Random& random, std::span<uint8_t> pixels) {
  std::array order = {ColorChange::brightness, ColorChange::contrast, ColorChange::saturation};
  for (size_t left = order.size(); left > 1; --left) {  // Fisher–Yates
    std::swap(order[left - 1], order[random.below(left)]);
  }
  for (const ColorChange change : order) {
    const double factor = 1 + strength * (2 * random.uniform_double() - 1);
    change_colors(change, static_cast<float>(factor), pixels);
  }
}

}  // namespace hardmoe
