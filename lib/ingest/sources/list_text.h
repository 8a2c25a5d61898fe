// A list that a program wrote into one text, as tables hold them: ['a', "b's"] by Python,
// ['a' 'b'] by NumPy, ["a", "b"] as JSON, {a,"b c"} by PostgreSQL, [a, b] by Java.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hardmoe {

struct ListText {
  enum class Kind {
    none,    ///< no list
    bare,    ///< elements without quotes, which a tag may look like: {a,b}, [untitled]
    quoted,  ///< surely a list: its elements have quotes, or there are none
    broken,  ///< begins as a list and is damaged, or is one of more than texts
  };
  Kind kind = Kind::none;
  std::vector<std::string> elements;  ///< of `bare` and `quoted`; None, nan and null left out
  std::string fault;                  ///< of `broken`
};

/// Python's lists, tuples and sets (also frozenset(…), array([…], dtype=object), np.str_('…')),
/// NumPy's arrays with their line ends, JSON's and PostgreSQL's arrays, bare words in brackets or
/// braces between commas; numbers also between blanks. Stops at `most` elements.
ListText parse_list_text(std::string_view text, size_t most);

/// The path in {'bytes': None, 'path': 'photos/1.jpg'}, as a column of images of Hugging Face's
/// datasets stands in a CSV; nothing for another text, "" where it holds no path.
std::optional<std::string> path_of_image_text(std::string_view text);

}  // namespace hardmoe
