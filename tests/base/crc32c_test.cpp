#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace hardmoe {
namespace {

TEST(Crc32c, MatchesKnownAnswers) {  // RFC 3720, B.4, and the check value of the CRC catalogue
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
}

TEST(Crc32c, IsTheSameByTablesAndInPieces) {
  std::string bytes(100000, '\0');
  Random random(1, RandomUse::test);
  for (char& c : bytes) c = static_cast<char>(random.below(256));
  for (const size_t size : {size_t{1}, size_t{7}, size_t{4096}, size_t{12288}, size_t{12289},
                            size_t{40001}, bytes.size()}) {
    const uint32_t whole = crc32c(bytes.data(), size);
    EXPECT_EQ(crc32c_by_tables(bytes.data(), size), whole);
    const size_t half = size / 3;
    const uint32_t first = crc32c(bytes.data(), half);
    EXPECT_EQ(crc32c(bytes.data() + half, size - half, first), whole);
    EXPECT_EQ(crc32c_joined(first, crc32c(bytes.data() + half, size - half), size - half), whole);
  }
}

}  // namespace
}  // namespace hardmoe
