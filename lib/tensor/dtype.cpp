#include "tensor/dtype.h"

#include <array>

namespace hardmoe {
namespace {
struct Info {
  std::string_view name;
  size_t size;
};
constexpr std::array<Info, 8> infos = {{{"float32", 4},
                                        {"float64", 8},
                                        {"float16", 2},
                                        {"bfloat16", 2},
                                        {"int64", 8},
                                        {"int32", 4},
                                        {"uint16", 2},
                                        {"uint8", 1}}};
}  // namespace

size_t size_of(DType dtype) { return infos[static_cast<size_t>(dtype)].size; }
std::string_view name_of(DType dtype) { return infos[static_cast<size_t>(dtype)].name; }

float to_float(Float16 value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000) << 16;
  const uint32_t rest = value.bits & 0x7FFF;
  if (rest >= 0x7C00) return std::bit_cast<float>(sign | 0x7F800000 | (rest & 0x3FF) << 13);
  // Scaling by 2^112 moves the exponent bias from 15 to 127, subnormals included.
  const float magnitude = std::bit_cast<float>(rest << 13) * 0x1p112F;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

Float16 to_float16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const uint32_t rest = bits & 0x7FFFFFFF;
  if (rest > 0x7F800000) return {static_cast<uint16_t>(sign | 0x7E00)};
  if (rest >= 0x477FF000) return {static_cast<uint16_t>(sign | 0x7C00)};
  if (rest < 0x38800000) {  // subnormal: let the adder round at 2^-24
    const float shifted = std::bit_cast<float>(rest) + 0.5F;
    return {static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3F000000))};
  }
  const uint32_t rounded = rest + 0xFFF + (rest >> 13 & 1);
  return {static_cast<uint16_t>(sign | ((rounded - 0x38000000) >> 13))};
}

}  // namespace hardmoe
