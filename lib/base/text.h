// Small text helpers: Unicode case folding, nearest name for "did you mean", splitting, tables.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hardmoe {

/// Unicode's toNFKC_Casefold: compatibility forms and case are one, what is not to be seen
/// (zero-width space, soft hyphen, variation selectors) is gone. Invalid UTF-8 returns an empty
/// string.
std::string fold_case(std::string_view utf8);
/// The text composed (NFC) or decomposed (NFD), as file names differ; "" for invalid UTF-8.
std::string composed(std::string_view utf8);
std::string decomposed(std::string_view utf8);

/// The length of the UTF-8 sequence at `at`; 0 if it is none.
size_t utf8_length(std::string_view text, size_t at);
/// How many bytes from the beginning are UTF-8: text.size() if all are.
size_t valid_utf8_length(std::string_view text);
/// Stands in a decoded text for what has no meaning: half of a surrogate pair, bytes that are not
/// UTF-8. A noncharacter (U+FDD0), which no text that is exchanged contains.
inline constexpr std::string_view undecodable = "\xEF\xB7\x90";

/// The text without UTF-8's byte order mark, with which Windows programs begin files.
std::string_view without_byte_order_mark(std::string_view text);
/// Whether it is UTF-16: by its byte order mark, or by a zero for every other byte.
bool is_utf16(std::string_view text);

/// The bytes that a base64 text stands for (RFC 4648, line ends within passed over); nothing if it
/// is none.
std::optional<std::string> base64_decoded(std::string_view text);

/// The candidate with the smallest edit distance to `word`, or "" if none is near enough to help.
std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates);

std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

/// Of a list the first eight, and how many more there are: a line each, indented, below a sentence.
std::string indented_list(const std::vector<std::string>& entries);

/// Rows as an aligned text table; the first row is the heading. First column left, others right.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

/// 1234567 → "1.23M"; 950 → "950". For people, not for files.
std::string human_count(double count);

/// "512M", "1.5G", "64k" → bytes (powers of 1024). Throws Error(usage) naming `what`.
long long parse_bytes(std::string_view text, std::string_view what);

}  // namespace hardmoe
