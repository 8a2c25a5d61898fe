// What the tests of this room share: small images that tell their number, tars of them, mutated
// bytes.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "data/tar.h"
#include "image/codec.h"
#include "ingest/ingest.h"

namespace hardmoe {

/// A height×width PNG whose red is `number`, green the row, blue the column (modulo 256).
inline Tensor numbered_image(int number, int64_t height, int64_t width) {
  Tensor image(DType::u8, {height, width, 3});
  const auto pixels = image.as<uint8_t>();
  for (size_t i = 0; i < pixels.size(); i += 3) {
    const auto at = static_cast<int64_t>(i / 3);
    pixels[i] = static_cast<uint8_t>(number);
    pixels[i + 1] = static_cast<uint8_t>(at / width);
    pixels[i + 2] = static_cast<uint8_t>(at % width);
  }
  return image;
}

/// A tar of `count` images of height×width, numbered from 0, with tags "all", and "even" or "odd".
inline void write_numbered_tar(const std::filesystem::path& file, int count, int64_t height,
                               int64_t width) {
  TarWriter tar(file);
  for (int i = 0; i < count; ++i) {
    const std::string key = fmt::format("{:04}", i);
    tar.add(key + ".png", encode_png(numbered_image(i, height, width)));
    tar.add(key + ".json", Json{{"tags", {"all", i % 2 == 0 ? "even" : "odd"}}}.dump());
  }
  tar.finish();
}

/// A line of a list of images.
inline std::string json_of(const std::string& image, const std::vector<std::string>& tags) {
  return Json{{"image", image}, {"tags", tags}}.dump() + '\n';
}

/// How a HEIC file begins, a format that is not read.
inline std::string heic_head() {
  return {
      "\0\0\0\x18"
      "ftypheic\0\0\0\0mif1heic",
      24};
}

/// Writes a file without waiting for the disk.
inline void overwrite(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

/// Overwrites, cuts out, or cuts off some bytes.
inline std::string mutated(std::string bytes, Random& random) {
  const uint64_t edits = 1 + random.below(4);
  for (uint64_t i = 0; i < edits && !bytes.empty(); ++i) {
    const size_t at = random.below(bytes.size());
    switch (random.below(8)) {
      case 0:
        bytes.resize(at);
        break;
      case 1:
        bytes.erase(at, 1 + random.below(16));
        break;
      case 2:
        bytes.insert(at, 1 + random.below(16), static_cast<char>(random.below(256)));
        break;
      default:
        bytes[at] = static_cast<char>(random.below(256));
    }
  }
  return bytes;
}

}  // namespace hardmoe
