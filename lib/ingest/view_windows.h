// Named images as views in memory, many at a time: decoded in threads, in order, each in the forms
// that networks take.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/view_set.h"
#include "ingest/named_images.h"

namespace hardmoe {

/// One image of a window.
struct WindowImage {
  std::string name;            ///< see NamedImage
  std::filesystem::path path;  ///< see NamedImage
  std::string error;           ///< why there are no views of it; else empty
};

/// Some consecutive images, with the views of those that could be read.
struct ViewWindow {
  std::vector<WindowImage> images;
  std::vector<size_t> image_of;  ///< N: whose views the set's are
  ViewSet views;                 ///< N
};

/// Reads and decodes the next `most` images at most, in `threads` threads; fewer only at their end.
/// Formats that training does not read become what moe-ingest makes of them. An image that cannot be
/// read or decoded is one with an error.
ViewWindow next_window(NamedImages& images, const std::vector<ViewForm>& forms, int64_t most,
                       int threads);

}  // namespace hardmoe
