// The loop around write() for those who hold a descriptor. Others use AtomicFile or AppendFile.
#pragma once

#include <cstddef>
#include <filesystem>

namespace hardmoe {

/// Writes `count` bytes at `offset` of an open file, again and again until all is written. Throws
/// Error naming `file` and the system's reason.
void write_all(int descriptor, const char* bytes, size_t count, size_t offset,
               const std::filesystem::path& file);

/// Throws Error with errno's reason for a write that failed.
[[noreturn]] void fail_writing(const std::filesystem::path& file);

}  // namespace hardmoe
