// Small text helpers: Unicode case folding, nearest name for "did you mean", splitting, tables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hardmoe {

/// Full Unicode case folding after NFKC normalisation; invalid UTF-8 returns an empty string.
std::string fold_case(std::string_view utf8);

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
