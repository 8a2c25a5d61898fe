// Foreign text, such as a tag or a file's name, as a terminal may get it.
#pragma once

#include <string>
#include <string_view>

namespace hardmoe {

/// Returns the text with invalid UTF-8 and control characters, which move a terminal's cursor or worse,
/// replaced by '_'.
std::string printable(std::string_view text);
/// Returns the same, but line breaks and tabs stay.
std::string printable_lines(std::string_view text);

}  // namespace hardmoe
