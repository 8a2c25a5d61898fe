// JSON that users bring, as the programs that wrote it understand JSON. Files of our own go through
// json.h.
#pragma once

#include <string_view>

#include "base/json.h"

namespace hardmoe {

/// What is read of one text; beyond, it is refused. So much takes some 100 MB while it is parsed.
inline constexpr size_t longest_json = size_t{1} << 24;  ///< bytes
inline constexpr size_t deepest_json = 256;              ///< arrays and objects in one another
inline constexpr size_t most_json_values = 250'000;

/// The text's value. Beyond JSON, it may begin with a byte order mark; NaN, Infinity and -Infinity
/// (Python writes them), and numbers that no double holds, are null; whole numbers of more than 18
/// digits are texts of their digits; half of a surrogate pair is `undecodable` (text.h). Of equal
/// keys the last one counts. Throws Error saying what is wrong, "not valid JSON, column 7: …".
Json parse_foreign_json(std::string_view text);

}  // namespace hardmoe
