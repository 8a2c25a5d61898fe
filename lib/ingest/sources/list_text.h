// Parses a list that a program wrote into one text, as tables contain them: ['a', "b's"] by Python,
// ['a' 'b'] by NumPy, ["a", "b"] as JSON, {a,"b c"} by PostgreSQL, [a, b] by Java.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hardmoe {

/// What a text was found to be.
struct ListText {
  enum class Kind {
    none,    ///< not a list
    bare,    ///< elements without quotes, so a tag may look the same: {a,b}, [untitled]
    quoted,  ///< certainly a list: its elements are quoted, or it is empty
    broken,  ///< begins as a list, but is damaged or contains more than texts
  };
  Kind kind = Kind::none;
  std::vector<std::string> elements;  ///< if `bare` or `quoted`; without None, nan and null
  std::string fault;                  ///< if `broken`
};

/// Parses lists, tuples and sets of Python (also frozenset(…), array([…], dtype=object),
/// np.str_('…')), NumPy's arrays with their line ends, arrays of JSON and PostgreSQL, and bare
/// words in brackets or braces between commas; numbers also between blanks. Stops at `most`
/// elements.
ListText parse_list_text(std::string_view text, size_t most);

/// Returns the path in {'bytes': None, 'path': 'photos/1.jpg'}, the form that an image column of
/// Hugging Face's datasets has in a CSV; "" if it holds no path; nothing for any other text.
std::optional<std::string> path_of_image_text(std::string_view text);

}  // namespace hardmoe
