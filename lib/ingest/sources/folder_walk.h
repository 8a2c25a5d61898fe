// Finds the files of a folder of images: which are images, and what is passed over.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "ingest/sources/source.h"

namespace hardmoe {

/// Returns all files below the folder, and broken links, as relative paths in order. Links to
/// folders are followed, except back into a folder that contains them. `report` counts what is
/// hidden, is not a file, or cannot be read.
std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder,
                                               SourceReport* report = nullptr);

/// Returns the image files among these. A file is an image by its extension or, if the extension is
/// unknown, by its content. `report` counts all other files, except those that describe an image
/// beside them: "photo.EXTENSION" or "photo.jpg.EXTENSION", with an extension in `companions`
/// ("json").
std::vector<std::filesystem::path> images_in(const std::filesystem::path& folder,
                                             SourceReport* report = nullptr,
                                             const std::vector<std::string>& companions = {});

/// Returns the file "photo.json" beside "photo.jpg", or "photo.jpg.json", for the extension
/// ".json"; empty if there is neither.
std::filesystem::path text_beside(const std::filesystem::path& image, const char* extension);

/// Returns whether the file's first bytes are those of a known image format, whatever its name.
bool holds_image(const std::filesystem::path& file);

/// Returns the subfolders and links to folders, without hidden ones, sorted.
std::vector<std::filesystem::path> subfolders_of(const std::filesystem::path& folder);

}  // namespace hardmoe
