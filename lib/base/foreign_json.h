// Parsing of JSON that users bring, tolerant like the programs that wrote it. Not for our own
// files: see json.h.
#pragma once

#include <string_view>

#include "base/json.h"

namespace hardmoe {

/// Limits of one text; a larger one is refused. At the limit parsing takes about 100 MB.
inline constexpr size_t longest_json = size_t{1} << 24;  ///< bytes
inline constexpr size_t deepest_json = 256;              ///< levels of nested arrays and objects
inline constexpr size_t most_json_values = 250'000;

/// Returns the text's value. Beyond JSON: a byte order mark is skipped; NaN, Infinity and -Infinity
/// (as Python writes them) and numbers beyond float64 become null; whole numbers of more than 18
/// digits become strings of their digits; half of a surrogate pair becomes `undecodable` (text.h);
/// among equal keys the last one counts. Throws Error saying what is wrong, such as "not valid
/// JSON, column 7: …".
Json parse_foreign_json(std::string_view text);

}  // namespace hardmoe
