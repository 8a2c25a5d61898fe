// Reads the keywords that people gave their photographs: programs store them in the image file or
// in a sidecar, an .xmp file beside it. All are UTF-8.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hardmoe {

/// Returns the keywords in an image's XMP (xmp.h), IPTC-IIM (2:25) and EXIF (XPKeywords), in that
/// order, without repeats. Throws Error as xmp_keywords() does; of damaged IPTC-IIM or EXIF it
/// returns what it can read.
std::vector<std::string> embedded_keywords(std::span<const std::byte> image);

/// Returns the keywords in IPTC-IIM records, at most max_keywords. Text is read as UTF-8 if record
/// 1:90 says so or if it is valid UTF-8, else as Windows' code page 1252.
std::vector<std::string> iptc_keywords(std::string_view records);

/// Returns the sidecars of an image that exist: photo.xmp (as Lightroom names them) and
/// photo.jpg.xmp (as digiKam and darktable do), with the extension .xmp or .XMP.
std::vector<std::filesystem::path> sidecars_of(const std::filesystem::path& image);

/// Returns the keywords in the sidecars, then those in the image, without repeats. Throws Error as
/// xmp_keywords() does; if a sidecar is at fault, its name comes first.
std::vector<std::string> photo_keywords(const std::filesystem::path& image);

}  // namespace hardmoe
