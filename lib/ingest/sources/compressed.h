// Reads files that may be compressed by gzip, zstd or bzip2, as their first bytes tell.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace hardmoe {

/// Returns whether the file begins like one of the three formats.
bool is_compressed(const std::filesystem::path& file);

/// Calls take(piece) for the file's unpacked bytes in order, until it returns false. Throws Error
/// naming the file if it is damaged or truncated, if it unpacks to more than both 64 MiB and 256
/// times its size, or if its zstd window exceeds 128 MiB (beyond zstd --ultra -22, --long=27).
/// Throws Error(interrupted) after SIGTERM.
void read_unpacked(const std::filesystem::path& file,
                   const std::function<bool(std::string_view)>& take);

/// Returns the first `count` unpacked bytes, or all if there are fewer.
std::string read_head(const std::filesystem::path& file, size_t count);

}  // namespace hardmoe
