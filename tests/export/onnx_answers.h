// What tests of exported networks share: images as a file's input, ONNX Runtime's answers to them.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/files.h"
#include "tensor/tensor.h"
#include "test_files.h"

namespace hardmoe {

/// Colours from 0 to 1, N×3×H×W.
inline Tensor planes_of(const Tensor& pixels) {
  const int64_t side = pixels.size(1), plane = side * side;
  Tensor images(DType::f32, {pixels.size(0), 3, side, side});
  for (int64_t i = 0; i < images.elements(); ++i) {
    const int64_t image = i / plane / 3, colour = i / plane % 3, at = i % plane;
    images.as<float>()[static_cast<size_t>(i)] =
        static_cast<float>(
            pixels.as<uint8_t>()[static_cast<size_t>((image * plane + at) * 3 + colour)]) /
        255;
  }
  return images;
}

/// The largest difference over the largest value.
inline double distance(const Tensor& found, const Tensor& expected) {
  EXPECT_EQ(found.shape(), expected.shape());
  double most = 0, largest = 0;
  for (size_t i = 0; i < expected.as<float>().size(); ++i) {
    const double value = double{expected.as<float>()[i]};
    largest = std::max(largest, std::abs(value));
    most = std::max(most, std::abs(value - double{found.as<float>()[i]}));
  }
  return most / largest;
}

/// Runs every model of a folder by `run_onnx.py`, which says what lies there before and after.
inline void run_onnx(const std::filesystem::path& python, const std::filesystem::path& folder) {
  const std::filesystem::path log = folder / "log";
  const std::string line =
      fmt::format("{} -B '{}/../export/run_onnx.py' '{}' > '{}' 2>&1", python.string(),
                  test_files().string(), folder.string(), log.string());
  ASSERT_EQ(std::system(line.c_str()), 0) << read_file(log);
}

}  // namespace hardmoe
