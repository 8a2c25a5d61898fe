// Text of other encodings as UTF-8. What tags become of it: tags.h.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace hardmoe {

/// Little-endian UTF-16 up to its end or the first NUL; lone surrogates become U+FFFD.
std::string utf8_of_utf16(std::span<const std::byte> bytes);

/// Windows' Latin-1 (code page 1252), in which older software wrote.
std::string utf8_of_latin1(std::string_view bytes);

}  // namespace hardmoe
