// Parsing of our own JSON in time that grows with its length, keys kept in their order: the library's
// parser looks through all keys so far for each one. Errors without a place: see parse_json in json.h
// for those that name the file, foreign_json.h for what users bring.
#pragma once

#include <string_view>

#include "base/json.h"

namespace hardmoe {

/// Limits of one text, far beyond what our own files come to; a larger one is refused.
inline constexpr size_t longest_own_json = size_t{1} << 28;  ///< bytes
inline constexpr size_t deepest_own_json = 256;              ///< levels of arrays and objects
inline constexpr size_t most_own_json_keys = size_t{1}
                                             << 17;  ///< of one object: twice the most experts

/// Returns the text's value. Throws nlohmann::json::exception if it is no JSON; Error, naming the
/// limit or the key, if it is beyond a limit or an object has a key twice.
Json parse_ordered_json(std::string_view text);

/// Returns the same for a line of a log that may have been cut: null instead of throwing.
Json parse_json_line(std::string_view text);

}  // namespace hardmoe
