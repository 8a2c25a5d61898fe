// Finds metadata in image files (EXIF, XMP, Photoshop's resources, IPTC) without decoding pixels:
// in JPEG, PNG, WebP, TIFF and JPEG 2000. In a damaged file it finds what comes before the damage.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace hardmoe {

/// A kind of metadata, and the form of its data.
enum class MetadataKind {
  exif,          ///< a TIFF structure; of a TIFF file, the whole file
  xmp,           ///< an XMP packet
  extended_xmp,  ///< a segment of a JPEG's longer packet: GUID (32 bytes), then the packet's length
                 ///< and the segment's offset in it (4 bytes each, big-endian), then text
  photoshop,     ///< image resources ("8BIM"), which hold IPTC-IIM; in a JPEG perhaps in segments
  iptc,          ///< IPTC-IIM by itself, as in PNG and TIFF
};

/// The most bytes of one kind of metadata. Compressed text in a PNG is cut off soon after that many
/// bytes, and a longer extended XMP packet is ignored.
inline constexpr size_t max_metadata_bytes = size_t{16} << 20;

/// Calls take(kind, data) for each piece of metadata, in the file's order, until it returns false.
/// The data is valid during the call only. Does nothing for other formats and for what is no image.
void for_each_metadata(std::span<const std::byte> image,
                       const std::function<bool(MetadataKind, std::string_view)>& take);

/// Returns the orientation of the stored pixels (EXIF, 1 … 8), as Pillow finds it: from EXIF or, if
/// EXIF has none, from the XMP packet's tiff:Orientation; 0 if neither has a valid one.
int image_orientation(std::span<const std::byte> image);

/// Returns a copy of the image with this orientation (1 … 8) in its EXIF; pixels and other metadata
/// are not changed. (If a JPEG's EXIF segment has no room for the new directory, its other fields
/// are lost.) Throws Error if it is not JPEG, PNG or WebP, or ends too early.
std::string with_orientation(std::span<const std::byte> image, int orientation);

}  // namespace hardmoe
