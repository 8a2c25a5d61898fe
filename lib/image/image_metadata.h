// What image files hold besides pixels: EXIF, XMP and Photoshop's resources, in JPEG, PNG,
// WebP, TIFF and JPEG 2000, found without decoding. Damaged containers have what comes before the
// damage.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace hardmoe {

enum class MetadataKind {
  exif,          ///< a TIFF structure
  xmp,           ///< an XMP packet
  extended_xmp,  ///< JPEG's further part of one: GUID (32 bytes), length, offset (big-endian), data
  photoshop,     ///< image resources ("8BIM"), which hold IPTC-IIM; JPEG's may be cut into several
  iptc,          ///< IPTC-IIM by itself, as PNGs have it
};

/// Text that is unpacked from a PNG is cut off soon after these, and longer XMP in several parts is
/// not put together.
inline constexpr size_t max_metadata_bytes = size_t{16} << 20;

/// Calls take(kind, data) for each, in the file's order, until it returns false. The data is valid
/// during the call. Nothing happens with what is no image.
void for_each_metadata(std::span<const std::byte> image,
                       const std::function<bool(MetadataKind, std::string_view)>& take);

/// How the stored pixels are to be turned (EXIF 1 … 8), as Pillow decides it: by EXIF, or where
/// that says nothing by the XMP packet's tiff:Orientation; 0 if neither says.
int image_orientation(std::span<const std::byte> image);

/// A copy of the image whose EXIF says the orientation (1 … 8); pixels and all other metadata are
/// the same bytes. (EXIF in JPEG that has no room for 18 bytes more is replaced.) Throws Error for
/// what is none of JPEG, PNG and WebP, or ends too early.
std::string with_orientation(std::span<const std::byte> image, int orientation);

}  // namespace hardmoe
