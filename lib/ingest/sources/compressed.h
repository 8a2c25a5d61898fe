// Files as they are or packed by gzip, zstd or bzip2, told by their first bytes.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace hardmoe {

/// Whether the file begins as one of the three.
bool is_compressed(const std::filesystem::path& file);

/// Calls take(piece) for the file's unpacked bytes in order until it returns false. Throws Error
/// naming the file if it is damaged or truncated, if more than 64 MiB and 256 times its size come
/// out of it, or if its zstd window is larger than 128 MiB (beyond zstd --ultra -22, --long=27);
/// Error(interrupted) after SIGTERM.
void read_unpacked(const std::filesystem::path& file,
                   const std::function<bool(std::string_view)>& take);

/// The first `count` unpacked bytes, or all there are.
std::string read_head(const std::filesystem::path& file, size_t count);

}  // namespace hardmoe
