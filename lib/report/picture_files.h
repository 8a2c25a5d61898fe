// The pictures of a page as PNG files, for slides. Drawings are rasterised by librsvg's own program,
// rsvg-convert, so that nothing is linked for what few runs need.
#pragma once

#include <filesystem>
#include <vector>

#include "report/page.h"

namespace hardmoe {

/// Throws Error(usage) if rsvg-convert is not on the PATH, or if the folder cannot be made or
/// written. Call it before anything is computed.
void require_picture_files(const std::filesystem::path& folder);

/// Writes each picture as FOLDER/NAME.png, a drawing at twice its size, over files of that name.
/// Returns their paths. Throws Error with rsvg-convert's message if it fails.
std::vector<std::filesystem::path> write_picture_files(const std::filesystem::path& folder,
                                                       const std::vector<PagePicture>& pictures);

}  // namespace hardmoe
