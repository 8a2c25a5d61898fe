// Converts text of other encodings to UTF-8.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace hardmoe {

/// Converts little-endian UTF-16, up to its end or the first NUL; lone surrogates become U+FFFD.
std::string utf8_of_utf16(std::span<const std::byte> bytes);

/// Converts Windows' code page 1252, which extends Latin-1, and in which older software wrote.
std::string utf8_of_latin1(std::string_view bytes);

}  // namespace hardmoe
