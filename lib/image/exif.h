// EXIF: the TIFF structure that photographs carry (CIPA DC-008). Where in a file it lies is
// image_metadata.h's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hardmoe {

/// The orientation (1 … 8) that a TIFF structure's first directory says, in a number of any type
/// and either byte order; 0 where it says something else; nothing where it says none or is damaged.
std::optional<int> exif_orientation(std::span<const std::byte> tiff);

/// The TIFF structure with the orientation in its first directory, which is written anew at the
/// end: what there was stays where it was. A new one where `tiff` is none.
std::string exif_with_orientation(std::span<const std::byte> tiff, int orientation);

/// The value under `tag` in a TIFF structure's first directory; empty where there is none, or where
/// it lies outside the structure.
std::span<const std::byte> tiff_field(std::span<const std::byte> tiff, uint16_t tag);

/// What Windows' Explorer keeps as "tags" (XPKeywords: UTF-16, with semicolons between).
std::vector<std::string> exif_keywords(std::span<const std::byte> tiff);

}  // namespace hardmoe
