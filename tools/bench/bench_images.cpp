// Writes a WebDataset tar of made-up JPEGs of 4:3 that cost a decoder about what photos do: noise
// of all scales, the coarse ones strongest. The overall colour is the image's tag, so that networks
// can learn it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "base/threads.h"
#include "data/tar.h"
#include "image/codec.h"

using namespace hardmoe;

namespace {

constexpr const char* colours[] = {"red", "green", "blue", "gray"};

/// Adds smooth noise: random values on a grid of `cell` pixels, linearly interpolated.
void add_noise(std::vector<float>& plane, int64_t height, int64_t width, int64_t cell,
               float strength, Random& random) {
  const int64_t columns = width / cell + 2;
  std::vector<float> grid(static_cast<size_t>((height / cell + 2) * columns));
  for (float& value : grid) value = strength * random.normal();
  for (int64_t y = 0; y < height; ++y) {
    const float v = static_cast<float>(y % cell) / static_cast<float>(cell);
    const float* above = grid.data() + y / cell * columns;
    const float* below = above + columns;
    for (int64_t x = 0; x < width; ++x) {
      const int64_t i = x / cell;
      const float u = static_cast<float>(x % cell) / static_cast<float>(cell);
      plane[static_cast<size_t>(y * width + x)] +=
          (1 - v) * ((1 - u) * above[i] + u * above[i + 1]) +
          v * ((1 - u) * below[i] + u * below[i + 1]);
    }
  }
}

std::string make_image(int64_t number, int64_t size, int quality) {
  Random random(1, RandomUse::test, static_cast<uint64_t>(number));
  const int64_t height = size, width = size * 4 / 3;
  std::vector<float> light(static_cast<size_t>(height * width), 128.0F);
  for (int64_t cell = 64; cell >= 1; cell /= 2) {
    add_noise(light, height, width, cell, 3 * std::sqrt(static_cast<float>(cell)), random);
  }
  Tensor image(DType::u8, {height, width, 3});
  const auto pixels = image.as<uint8_t>();
  for (size_t c = 0; c < 3; ++c) {
    std::vector<float> plane = light;
    add_noise(plane, height, width, 32, 12, random);
    const float shift = static_cast<int64_t>(c) == number % 4 ? 50.0F : 0.0F;
    for (size_t i = 0; i < plane.size(); ++i) {
      pixels[i * 3 + c] = static_cast<uint8_t>(std::clamp(plane[i] + shift, 0.0F, 255.0F));
    }
  }
  return encode_jpeg(image, quality);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Write a tar of made-up JPEGs", "bench-images");
  std::string out;
  int64_t images = 2048, size = 256;
  int quality = 90;
  app.add_option("out", out, "Tar to write")->required();
  app.add_option("--images", images, "Default 2048");
  app.add_option("--size", size, "Pixels of the short side (default 256)");
  app.add_option("--quality", quality, "Of the JPEGs (default 90)");
  CLI11_PARSE(app, argc, argv);
  try {
    TarWriter tar(out);
    int64_t bytes = 0;
    std::vector<std::string> files(256);
    for (int64_t first = 0; first < images; first += std::ssize(files)) {
      const int64_t count = std::min(std::ssize(files), images - first);
      parallel_for(count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          files[static_cast<size_t>(i)] = make_image(first + i, size, quality);
        }
      });
      for (int64_t i = 0; i < count; ++i) {
        const std::string key = fmt::format("{:07}", first + i);
        const std::string& file = files[static_cast<size_t>(i)];
        tar.add(key + ".jpg", file);
        tar.add(key + ".json", Json{{"tags", {colours[(first + i) % 4]}}}.dump());
        bytes += std::ssize(file);
      }
    }
    tar.finish();
    fmt::print(
        "{}\n",
        Json{{"images", images}, {"mean_bytes", bytes / std::max<int64_t>(images, 1)}}.dump());
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench-images: {}\n", error.what());
    return 1;
  }
}
