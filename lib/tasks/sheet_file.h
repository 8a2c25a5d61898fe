// The file that --contact-sheet names.
#pragma once

#include <filesystem>

#include "tensor/tensor.h"

namespace hardmoe {

/// Throws Error(usage) unless the file's name ends as an image that can be written: .png, .jpg or
/// .jpeg; Error if its folder cannot be made or written. Call it before the work for it.
void check_sheet_file(const std::filesystem::path& file);

/// Writes the sheet (uint8 H×W×3) as PNG or JPEG, by the name's end.
void write_sheet(const std::filesystem::path& file, const Tensor& sheet);

}  // namespace hardmoe
