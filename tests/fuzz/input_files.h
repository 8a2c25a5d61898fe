// An input as files, for readers that open files. Several files stand in one input as
// `head -c -0 FILES…` prints them, which is also how seeds of this form are made: before each a line
// "==> NAME <==", and between them a line end.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>

namespace hardmoe {

/// The bytes as a file. The next call overwrites it.
std::filesystem::path file_of(std::string_view bytes);

/// A folder of those of the input's files that `names` has, such as "train/shard.npy"; a text before
/// the first file, and lines about other names, are part of nothing and of the file before them. The
/// next call empties it.
std::filesystem::path folder_of(std::string_view bytes, std::span<const std::string_view> names);

}  // namespace hardmoe
