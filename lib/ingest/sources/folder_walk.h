// The files of a folder of images: which are images, and what is passed over.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "ingest/sources/source.h"

namespace hardmoe {

/// Files anywhere below the folder, and links to nothing, relative to it, in path order. Links to
/// folders are followed, but not back into a folder that they are in. `report`: counts what is
/// hidden, no file, or cannot be read.
std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder,
                                               SourceReport* report = nullptr);

/// The image files among them. A file is an image by its extension, and where that is of no kind
/// known by its content. `report`: counts everything else, but what describes an image beside it:
/// "photo.EXTENSION" or "photo.jpg.EXTENSION", where `companions` has the extension ("json").
std::vector<std::filesystem::path> images_in(const std::filesystem::path& folder,
                                             SourceReport* report = nullptr,
                                             const std::vector<std::string>& companions = {});

/// "photo.json" beside "photo.jpg", or "photo.jpg.json", for the extension ".json"; empty if there
/// is neither.
std::filesystem::path text_beside(const std::filesystem::path& image, const char* extension);

/// Whether the file, of any name, is an image of a known format by its first bytes.
bool holds_image(const std::filesystem::path& file);

/// The subfolders, links to folders too, hidden ones left out; sorted.
std::vector<std::filesystem::path> subfolders_of(const std::filesystem::path& folder);

}  // namespace hardmoe
