#include "base/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace hardmoe {
namespace {

// Bits are reflected: bit 0 is the polynomial's highest coefficient, and 1 is the topmost bit.
constexpr uint32_t polynomial = 0x82F63B78;
constexpr uint32_t one = uint32_t{1} << 31;

constexpr uint32_t times_x(uint32_t a) { return a >> 1 ^ (polynomial & (0U - (a & 1))); }

/// Returns a·b modulo the polynomial.
constexpr uint32_t product(uint32_t a, uint32_t b) {
  uint32_t sum = 0;
  for (uint32_t bit = one; bit != 0; bit >>= 1) {
    if ((a & bit) != 0) sum ^= b;
    b = times_x(b);
  }
  return sum;
}

/// Returns x^(8·bytes) modulo the polynomial: the effect of so many zero bytes after a text.
constexpr uint32_t shift_by(uint64_t bytes) {
  uint32_t power = one, square = one >> 8;  // x^8
  for (; bytes != 0; bytes >>= 1) {
    if ((bytes & 1) != 0) power = product(power, square);
    square = product(square, square);
  }
  return power;
}

using Tables = std::array<std::array<uint32_t, 256>, 8>;

/// tables[k][b]: the CRC of byte b followed by k zeros (Kounavis & Berry 2005, "slicing by 8").
constexpr Tables make_tables() {
  Tables tables = {};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = times_x(crc);
    tables[0][b] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t b = 0; b < 256; ++b) {
      const uint32_t before = tables[k - 1][b];
      tables[k][b] = before >> 8 ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}
constexpr Tables tables = make_tables();

uint64_t word_at(const unsigned char* bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

uint32_t by_tables(uint32_t crc, const unsigned char* bytes, size_t count) {
  static_assert(std::endian::native == std::endian::little);
  for (; count >= 8; bytes += 8, count -= 8) {
    const uint64_t word = word_at(bytes) ^ crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= tables[7 - k][word >> (8 * k) & 0xFF];
  }
  for (; count > 0; ++bytes, --count) crc = crc >> 8 ^ tables[0][(crc ^ *bytes) & 0xFF];
  return crc;
}

#if defined(__x86_64__)
/// The instruction takes 3 cycles, and one can begin in each: compute three stretches side by side.
__attribute__((target("sse4.2"))) uint32_t by_instruction(uint32_t crc, const unsigned char* bytes,
                                                          size_t count) {
  constexpr size_t stretch = 4096;
  constexpr uint32_t one_stretch = shift_by(stretch), two_stretches = shift_by(2 * stretch);
  for (; count >= 3 * stretch; bytes += 3 * stretch, count -= 3 * stretch) {
    uint64_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < stretch; i += 8) {
      a = _mm_crc32_u64(a, word_at(bytes + i));
      b = _mm_crc32_u64(b, word_at(bytes + stretch + i));
      c = _mm_crc32_u64(c, word_at(bytes + 2 * stretch + i));
    }
    crc = product(two_stretches, static_cast<uint32_t>(a)) ^
          product(one_stretch, static_cast<uint32_t>(b)) ^ static_cast<uint32_t>(c);
  }
  for (; count >= 8; bytes += 8, count -= 8) {
    crc = static_cast<uint32_t>(_mm_crc32_u64(crc, word_at(bytes)));
  }
  for (; count > 0; ++bytes, --count) crc = _mm_crc32_u8(crc, *bytes);
  return crc;
}

bool has_instruction() { return __builtin_cpu_supports("sse4.2") != 0; }
#else
uint32_t by_instruction(uint32_t crc, const unsigned char* bytes, size_t count) {
  return by_tables(crc, bytes, count);
}
bool has_instruction() { return false; }
#endif

}  // namespace

uint32_t crc32c(const void* bytes, size_t count, uint32_t before) {
  static const bool instruction = has_instruction();
  const auto* from = static_cast<const unsigned char*>(bytes);
  return ~(instruction ? by_instruction(~before, from, count) : by_tables(~before, from, count));
}

uint32_t crc32c_by_tables(const void* bytes, size_t count, uint32_t before) {
  return ~by_tables(~before, static_cast<const unsigned char*>(bytes), count);
}

uint32_t crc32c_joined(uint32_t first, uint32_t second, uint64_t second_bytes) {
  return product(shift_by(second_bytes), first) ^ second;
}

}  // namespace hardmoe
