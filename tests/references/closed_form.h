// The weights of the stored network references, by the closed form of torch_resnet.py. Bit for bit
// the same as there: every step is exact or correctly rounded.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace hardmoe {

/// `count` draws in [-1, 1): SplitMix64 started at the FNV-1a-64 hash of `name`.
inline std::vector<double> reference_stream(std::string_view name, int64_t count) {
  uint64_t state = 0xCBF29CE484222325;
  for (const char c : name) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  std::vector<double> draws;
  for (int64_t i = 0; i < count; ++i) {
    uint64_t x = state += 0x9E3779B97F4A7C15;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
    x ^= x >> 31;
    draws.push_back(static_cast<double>(x >> 40) / 8388608.0 - 1);
  }
  return draws;
}

/// The float32 parameter or running statistic with torchvision's `name`, in PyTorch's layout.
inline Tensor reference_parameter(const std::string& name, const Shape& shape) {
  Tensor tensor(DType::f32, shape);
  const auto u = reference_stream(name, tensor.elements());
  const auto values = tensor.as<float>();
  const auto fan_in = static_cast<double>(tensor.elements() / shape.at(0));
  for (size_t i = 0; i < u.size(); ++i) {
    double value = u[i] / 4;
    if (shape.size() > 1) {
      value = u[i] * std::sqrt(6.0 / fan_in);
    } else if (name == "fc.bias") {
      value = u[i] / 10;
    } else if (name.ends_with("running_mean")) {
      value = u[i] / 2;
    } else if (name.ends_with("running_var")) {
      value = 1 + u[i] / 2;
    } else if (name.ends_with("weight")) {
      value = (1 + u[i] / 4) * (name.ends_with("bn3.weight") ? 0.5 : 1);
    }
    values[i] = static_cast<float>(value);
  }
  return tensor;
}

}  // namespace hardmoe
