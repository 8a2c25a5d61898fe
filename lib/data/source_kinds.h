// The three kinds of source, for source.cpp; others call open_source.
#pragma once

#include "data/source.h"

namespace hardmoe {

std::unique_ptr<Source> open_webdataset(const std::filesystem::path& tar);
/// `name`: of the list, for messages. `folder`: what its paths are relative to.
std::unique_ptr<Source> open_list(std::string text, std::string name, std::filesystem::path folder);
std::unique_ptr<Source> open_folder(const std::filesystem::path& folder);

/// Image files anywhere below the folder, relative to it, in path order; hidden ones left out.
std::vector<std::filesystem::path> images_in(const std::filesystem::path& folder);

/// "jpg", "jpeg", "png", "webp".
bool is_image_extension(std::string_view lower_case);
std::string lower_ascii(std::string text);

}  // namespace hardmoe
