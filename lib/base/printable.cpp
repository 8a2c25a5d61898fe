#include "base/printable.h"

#include "base/text.h"

namespace hardmoe {
namespace {

/// Returns whether the sequence at `at` is one of Unicode's control characters (category Cc).
bool is_control(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  return byte(at) < ' ' || byte(at) == 0x7F || (byte(at) == 0xC2 && byte(at + 1) < 0xA0);
}

std::string replaced(std::string_view text, std::string_view kept) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t length = utf8_length(text, at);
    const bool fine =
        length > 0 && (kept.find(text[at]) != std::string_view::npos || !is_control(text, at));
    result += fine ? text.substr(at, length) : "_";
    at += length > 0 ? length : 1;
  }
  return result;
}

}  // namespace

std::string printable(std::string_view text) { return replaced(text, ""); }

std::string printable_lines(std::string_view text) { return replaced(text, "\n\t"); }

}  // namespace hardmoe
