// CRC-32C (Castagnoli): a checksum as fast as memory, for files that are read in passing. It tells
// damage, not malice: what identifies a file is its SHA-256 (files.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hardmoe {

/// The CRC-32C of bytes behind others whose CRC-32C is `before` (0: behind none).
uint32_t crc32c(const void* bytes, size_t count, uint32_t before = 0);
/// The same on processors without an instruction for it; for tests.
uint32_t crc32c_by_tables(const void* bytes, size_t count, uint32_t before = 0);
inline uint32_t crc32c(std::string_view bytes) { return crc32c(bytes.data(), bytes.size()); }

/// That of two texts one behind the other: `first` of the first, `second` of the second, which is
/// `second_bytes` long.
uint32_t crc32c_joined(uint32_t first, uint32_t second, uint64_t second_bytes);

}  // namespace hardmoe
