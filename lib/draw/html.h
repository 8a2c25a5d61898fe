// Text and tables as HTML5, which is also well-formed XML, so that the same functions serve SVG.
// Everything from outside (names, tags) goes through escape_markup().
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hardmoe {

/// Returns the text as character data of HTML and XML, also for attributes in double quotes.
/// Bytes that are not UTF-8 and characters that XML 1.0 forbids become U+FFFD.
std::string escape_markup(std::string_view text);

/// Returns "<NAME ATTRIBUTES>CONTENT</NAME>". `content` and `attributes` are markup already.
std::string element(std::string_view name, std::string_view content,
                    std::string_view attributes = {});

/// Returns a paragraph of plain text.
std::string paragraph(std::string_view text, std::string_view css_class = {});

/// Returns a table of plain texts in a box that scrolls sideways where it is too wide. The first
/// row is the heading, the first column names the rows; the others are aligned right, unless
/// `texts` (then left). A row may be shorter than the heading.
enum class TableCells { numbers, texts };
std::string html_table(std::string_view caption, const std::vector<std::vector<std::string>>& rows,
                       TableCells cells = TableCells::numbers);

/// Returns the bytes as a data URI, such as "data:image/jpeg;base64,…".
std::string data_uri(std::string_view media_type, std::string_view bytes);

/// Returns the text cut to `most` characters, an ellipsis in place of what is left out.
std::string shortened(std::string_view text, size_t most);

}  // namespace hardmoe
