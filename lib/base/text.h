// Small text helpers: Unicode case folding, the nearest name for "did you mean", splitting, tables.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hardmoe {

/// Returns Unicode's toNFKC_Casefold: compatibility forms and cases become one, invisible
/// characters (zero-width space, soft hyphen, variation selectors) are dropped. Returns "" for
/// invalid UTF-8.
std::string fold_case(std::string_view utf8);
/// Return the text composed (NFC) or decomposed (NFD), as file names differ; "" for invalid UTF-8.
std::string composed(std::string_view utf8);
std::string decomposed(std::string_view utf8);

/// Returns the length of the UTF-8 sequence at `at`, or 0 if it is not valid.
size_t utf8_length(std::string_view text, size_t at);
/// Returns how many bytes from the beginning are valid UTF-8: text.size() if all are.
size_t valid_utf8_length(std::string_view text);
/// Replaces, in decoded text, what has no meaning: half of a surrogate pair, bytes that are not
/// UTF-8. A noncharacter (U+FDD0), which exchanged text never contains.
inline constexpr std::string_view undecodable = "\xEF\xB7\x90";

/// Returns the text without UTF-8's byte order mark, which Windows programs write before it.
std::string_view without_byte_order_mark(std::string_view text);
/// Returns whether the text is UTF-16, judging by its byte order mark or by zeros in every other
/// byte.
bool is_utf16(std::string_view text);

/// Returns the bytes that a base64 text encodes (RFC 4648, line ends ignored), or nothing if it is
/// not base64.
std::optional<std::string> base64_decoded(std::string_view text);

/// Returns the candidate with the smallest edit distance to `word`, where one of several words that
/// begins or ends with it counts as 2 edits away; "" if none is near enough.
std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates);

/// Returns the pieces between separators; "" has one empty piece.
std::vector<std::string> split(std::string_view text, char separator);
/// Returns the text without white space at both ends.
std::string_view trim(std::string_view text);
/// Returns the texts with the separator between them.
std::string join(const std::vector<std::string>& texts, std::string_view separator);

/// Returns the first eight entries, one an indented line, and how many more there are, to follow a
/// sentence.
std::string indented_list(const std::vector<std::string>& entries);

/// Returns rows as an aligned text table. The first row is the heading; the first column is aligned
/// left, the others right. What is not printable is replaced (base/printable.h).
std::string format_table(const std::vector<std::vector<std::string>>& rows);

/// Returns a count for people: 1234567 → "1.23M"; 950 → "950". Not for files.
std::string human_count(double count);

/// Returns the bytes that "512M", "1.5G" or "64k" mean (powers of 1024). Throws Error(usage) naming
/// `what`.
long long parse_bytes(std::string_view text, std::string_view what);

}  // namespace hardmoe
