// Reads and changes EXIF, the TIFF structure in photographs (CIPA DC-008). image_metadata.h finds
// it in a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hardmoe {

/// Returns the orientation (1 … 8) in a TIFF structure's first directory, stored as a number of any
/// type and in either byte order; 0 for any other value; nothing if there is none or the structure
/// is damaged.
std::optional<int> exif_orientation(std::span<const std::byte> tiff);

/// Returns the TIFF structure with this orientation in its first directory. The directory is
/// written again at the end, so nothing else moves. Returns a new structure if `tiff` is invalid.
std::string exif_with_orientation(std::span<const std::byte> tiff, int orientation);

/// Returns the bytes of the value of `tag` in a TIFF structure's first directory; empty if there is
/// none, or if it lies outside the structure.
std::span<const std::byte> tiff_field(std::span<const std::byte> tiff, uint16_t tag);

/// Returns the keywords that Windows Explorer stores as "tags" (XPKeywords: UTF-16, separated by
/// semicolons), as UTF-8.
std::vector<std::string> exif_keywords(std::span<const std::byte> tiff);

}  // namespace hardmoe
