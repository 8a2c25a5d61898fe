// A value as one line of text, for files and streams of JSON lines.
#pragma once

#include <string>

#include "base/json.h"

namespace hardmoe {

/// Returns the value without blanks between its parts, and a newline; what is no UTF-8 in its texts is
/// replaced.
std::string json_line(const Json& value);

}  // namespace hardmoe
