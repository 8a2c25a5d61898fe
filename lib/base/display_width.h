// How wide a text is where each character has its place.
#pragma once

#include <cstddef>
#include <string_view>

namespace hardmoe {

/// Returns a text's columns on a terminal, unlike its bytes: "×" has two bytes and one column, a
/// Chinese character two columns. What is no UTF-8 counts one a byte.
size_t display_width(std::string_view utf8);

}  // namespace hardmoe
