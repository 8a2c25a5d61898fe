// Keywords that people gave their photographs in a program, which wrote them into the file or into
// one beside it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hardmoe {

/// Keywords in an image's XMP (see xmp.h), IPTC-IIM (2:25) and EXIF (XPKeywords), in that order,
/// none twice. Throws Error naming which of them is damaged.
std::vector<std::string> embedded_keywords(std::span<const std::byte> image);

/// Keywords of IPTC-IIM. Text is UTF-8 where 1:90 says so or it is valid as such, else Windows'
/// Latin-1.
std::vector<std::string> iptc_keywords(std::string_view records);

/// Files beside an image that hold XMP for it, those there are: photo.xmp (Lightroom's way) and
/// photo.jpg.xmp (digiKam's and darktable's), the extension in small letters or capitals.
std::vector<std::filesystem::path> sidecars_of(const std::filesystem::path& image);

/// Keywords of the sidecars, then those in the image, none twice. Throws Error naming the file.
std::vector<std::string> photo_keywords(const std::filesystem::path& image);

}  // namespace hardmoe
