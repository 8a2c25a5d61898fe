// The number of a file's format, which the file holds in a field `format`, such as "hardmoe dataset
// 1". A file without that field is of format 1. Not for formats of others (.npy, .safetensors).
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace hardmoe {

/// A format of ours.
struct FileFormat {
  std::string_view kind;  ///< "dataset"
  int newest;             ///< the number that is written; it and all before it are read
};

/// Returns the field's text: "hardmoe dataset 1".
std::string format_text(const FileFormat& format);

/// Returns the number in `found`, the field's text; 1 if that is empty. Throws Error naming
/// `where`, the text and the newest known format, if the number is newer or the file of another
/// kind.
int require_format(const FileFormat& format, std::string_view found, const std::string& where);

/// Calls require_format() with a JSON object's field.
int require_json_format(const FileFormat& format, const Json& record, const std::string& where);

}  // namespace hardmoe
