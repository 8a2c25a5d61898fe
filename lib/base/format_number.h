// The number of a file's form, which the file itself carries in a field `format`, such as "hardmoe
// dataset 1". A file without that field is of form 1. Not for formats of others (.npy, .safetensors).
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace hardmoe {

struct FileFormat {
  std::string_view kind;  ///< "dataset"
  int newest;             ///< what is written; this number and all before it are read
};

/// "hardmoe dataset 1", for the field.
std::string format_text(const FileFormat& format);

/// Returns the number in `found`, the field's text; 1 where that is empty. Throws Error naming
/// `where`, what was found and what is known for a newer number, and for another kind of file.
int require_format(const FileFormat& format, std::string_view found, const std::string& where);

/// The same of a JSON object's field.
int require_json_format(const FileFormat& format, const Json& record, const std::string& where);

}  // namespace hardmoe
