#include "base/text.h"

#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <numeric>

#include "base/display_width.h"
#include "base/error.h"
#include "base/printable.h"

namespace hardmoe {

namespace {

/// Code points that Unicode reserves for invisible characters (unassigned ones with the property
/// Default_Ignorable_Code_Point), which utf8proc takes for visible ones.
utf8proc_int32_t reserved_to_ignored(utf8proc_int32_t code, void*) {
  const auto in = [&](utf8proc_int32_t first, utf8proc_int32_t last) {
    return code >= first && code <= last;
  };
  const bool reserved =
      code == 0x2065 || in(0xFFF0, 0xFFF8) || in(0xE0000, 0xE00FF) || in(0xE01F0, 0xE0FFF);
  return reserved ? 0x200B : code;
}

/// Maps a text. `custom` first replaces each code point.
std::string mapped(std::string_view utf8, int options, utf8proc_custom_func custom = nullptr) {
  utf8proc_uint8_t* text = nullptr;
  const auto length = utf8proc_map_custom(reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()),
                                          static_cast<utf8proc_ssize_t>(utf8.size()), &text,
                                          static_cast<utf8proc_option_t>(UTF8PROC_STABLE | options),
                                          custom, nullptr);
  if (length < 0) return {};
  std::string result(reinterpret_cast<char*>(text), static_cast<size_t>(length));
  std::free(text);
  return result;
}

/// Returns a base64 character's six bits, or -1 for any other character.
int base64_bits(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

std::string fold_case(std::string_view utf8) {
  return mapped(utf8, UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE,
                reserved_to_ignored);
}

std::string composed(std::string_view utf8) { return mapped(utf8, UTF8PROC_COMPOSE); }
std::string decomposed(std::string_view utf8) { return mapped(utf8, UTF8PROC_DECOMPOSE); }

size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t length = byte(at) < 0x80                       ? 1
                        : byte(at) >= 0xC2 && byte(at) < 0xE0 ? 2
                        : (byte(at) & 0xF0) == 0xE0           ? 3
                        : byte(at) >= 0xF0 && byte(at) < 0xF5 ? 4
                                                              : 0;
  if (length == 0 || at + length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  // Reject overlong forms and surrogates, which the first byte alone does not exclude.
  if (length == 3 &&
      ((byte(at) == 0xE0 && byte(at + 1) < 0xA0) || (byte(at) == 0xED && byte(at + 1) >= 0xA0))) {
    return 0;
  }
  if (length == 4 &&
      ((byte(at) == 0xF0 && byte(at + 1) < 0x90) || (byte(at) == 0xF4 && byte(at + 1) >= 0x90))) {
    return 0;
  }
  return length;
}

size_t valid_utf8_length(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = utf8_length(text, at);
    if (length == 0) break;
    at += length;
  }
  return at;
}

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view mark = "\xEF\xBB\xBF";
  if (text.starts_with(mark)) text.remove_prefix(mark.size());
  return text;
}

bool is_utf16(std::string_view text) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) return true;
  text = text.substr(0, 64);
  size_t zeros[2] = {0, 0};
  for (size_t i = 0; i < text.size(); ++i) zeros[i % 2] += text[i] == '\0' ? 1 : 0;
  const size_t pairs = text.size() / 2;
  return pairs >= 2 && std::min(zeros[0], zeros[1]) == 0 &&
         std::max(zeros[0], zeros[1]) >= pairs * 3 / 4;
}

std::optional<std::string> base64_decoded(std::string_view text) {
  while (text.ends_with('=') || text.ends_with('\n')) text.remove_suffix(1);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 3);
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r') continue;
    const int six = base64_bits(c);
    if (six < 0) return {};
    bits = bits << 6 | static_cast<unsigned>(six);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xFF);
  }
  if (count == 6) return {};  // a single character is less than a byte
  return bytes;
}

namespace {
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row.back();
}

/// Whether the name is made of several words, and begins or ends with this one.
bool has_word(std::string_view name, std::string_view word) {
  if (word.empty() || name.size() < word.size() + 2) return false;
  const auto separates = [](char c) { return c == '-' || c == '_'; };
  return (name.ends_with(word) && separates(name[name.size() - word.size() - 1])) ||
         (name.starts_with(word) && separates(name[word.size()]));
}

}  // namespace

std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = word.size() / 3 + 2;  // one edit, and one more for every three letters
  for (const auto& candidate : candidates) {
    constexpr size_t of_words = 2;
    const size_t distance =
        std::min(edit_distance(word, candidate), has_word(candidate, word) ? of_words : SIZE_MAX);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> pieces;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(separator, begin);
    pieces.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return pieces;
    begin = end + 1;
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n\f\v";
  const size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::string join(const std::vector<std::string>& texts, std::string_view separator) {
  return fmt::format("{}", fmt::join(texts, separator));
}

std::string indented_list(const std::vector<std::string>& entries) {
  constexpr size_t shown = 8;
  std::string text;
  for (size_t i = 0; i < std::min(entries.size(), shown); ++i) text += "\n  " + entries[i];
  if (entries.size() > shown) text += fmt::format("\n  and {} more", entries.size() - shown);
  return text;
}

size_t display_width(std::string_view utf8) {
  size_t width = 0;
  for (size_t at = 0; at < utf8.size();) {
    utf8proc_int32_t code = -1;
    const auto length =
        utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()) + at,
                         static_cast<utf8proc_ssize_t>(utf8.size() - at), &code);
    width += length > 0 ? static_cast<size_t>(utf8proc_charwidth(code)) : 1;
    at += length > 0 ? static_cast<size_t>(length) : 1;
  }
  return width;
}

std::string format_table(const std::vector<std::vector<std::string>>& texts) {
  auto rows = texts;
  for (auto& row : rows) {
    for (std::string& cell : row) cell = printable(cell);
  }
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], display_width(row[c]));
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string padding(widths[c] - display_width(row[c]), ' ');
      text += c == 0 ? row[c] + padding : "  " + padding + row[c];
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    text += '\n';
  }
  return text;
}

std::string human_count(double count) {
  constexpr const char* units[] = {"", "k", "M", "G", "T", "P", "E"};
  int unit = 0;
  while (count >= 999.5 && unit < 6) {  // would print as 1000
    count /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f}", count) : fmt::format("{:.3g}{}", count, units[unit]);
}

long long parse_bytes(std::string_view text, std::string_view what) {
  double value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(rest, static_cast<size_t>(text.data() + text.size() - rest));
  const size_t power = std::string_view("kMGT").find(unit.empty() ? ' ' : unit[0]);
  const bool known_unit = unit.empty() || (unit.size() == 1 && power != std::string_view::npos);
  for (size_t i = 0; known_unit && !unit.empty() && i <= power; ++i) value *= 1024;
  // Written so that NaN fails too.
  if (error != std::errc() || !known_unit || !(value >= 0 && value < 0x1p62)) {
    fail_usage("{}: expected a size such as 512M or 2G, found '{}'", what, text);
  }
  return static_cast<long long>(value);
}

}  // namespace hardmoe
