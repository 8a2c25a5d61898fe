// Writes keywords into an image's sidecar, an .xmp file beside it. Reading them: image/keywords.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hardmoe {

/// Adds keywords to the dc:subject of the image's first sidecar (sidecars_of()), or to a new one,
/// photo.jpg.xmp; all else in it stays. Returns the file. Throws Error naming it.
std::filesystem::path add_to_sidecar(const std::filesystem::path& image,
                                     const std::vector<std::string>& keywords);

}  // namespace hardmoe
