// Mapped files that shrink, or whose disk fails, while they are read: the system then sends SIGBUS.
#pragma once

#include <cstddef>
#include <filesystem>

namespace hardmoe {

/// Makes a failing read of a mapped file end the process with a sentence that names the file, and
/// status failed. Call it once, at the start of main.
void install_mapping_fault_handler();

/// Notes that these bytes are mapped from `file`, until forget_mapping(begin).
void note_mapping(const void* begin, size_t size, const std::filesystem::path& file) noexcept;
void forget_mapping(const void* begin) noexcept;

}  // namespace hardmoe
