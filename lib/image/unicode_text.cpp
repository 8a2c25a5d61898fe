#include "image/unicode_text.h"

#include <array>
#include <cstdint>

namespace hardmoe {
namespace {

void append(std::string& text, uint32_t code) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | code >> 12);
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0 | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace

std::string utf8_of_utf16(std::span<const std::byte> bytes) {
  constexpr uint32_t replacement = 0xFFFD;
  const auto unit = [&](size_t at) {
    return std::to_integer<uint32_t>(bytes[at]) | std::to_integer<uint32_t>(bytes[at + 1]) << 8;
  };
  std::string text;
  for (size_t at = 0; at + 2 <= bytes.size(); at += 2) {
    uint32_t code = unit(at);
    if (code == 0) break;
    const bool high = code >= 0xD800 && code < 0xDC00;
    if (high && at + 4 <= bytes.size() && (unit(at + 2) & 0xFC00) == 0xDC00) {
      code = 0x10000 + ((code & 0x3FF) << 10) + (unit(at + 2) & 0x3FF);
      at += 2;
    } else if (code >= 0xD800 && code < 0xE000) {
      code = replacement;
    }
    append(text, code);
  }
  return text;
}

std::string utf8_of_latin1(std::string_view bytes) {
  // 0x80 … 0x9F; the five that code page 1252 leaves out are as in Latin-1.
  constexpr std::array<uint16_t, 32> windows = {
      0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
      0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
      0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};
  std::string text;
  for (const char c : bytes) {
    const auto code = static_cast<unsigned char>(c);
    append(text, code >= 0x80 && code < 0xA0 ? windows[code - 0x80] : code);
  }
  return text;
}

}  // namespace hardmoe
