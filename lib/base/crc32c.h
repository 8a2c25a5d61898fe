// CRC-32C (Castagnoli), a checksum as fast as memory, for files that are checked while they are
// read. It detects damage, not malice: files are identified by their SHA-256 (files.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hardmoe {

/// Returns the CRC-32C of a text's bytes so far, where `before` is that of the bytes before these
/// (0: there are none).
uint32_t crc32c(const void* bytes, size_t count, uint32_t before = 0);
/// The same, computed as on processors without an instruction for it; for tests.
uint32_t crc32c_by_tables(const void* bytes, size_t count, uint32_t before = 0);
inline uint32_t crc32c(std::string_view bytes) { return crc32c(bytes.data(), bytes.size()); }

/// Returns the CRC-32C of two texts joined, given that of the first, that of the second, and the
/// length of the second.
uint32_t crc32c_joined(uint32_t first, uint32_t second, uint64_t second_bytes);

}  // namespace hardmoe
