#include "base/foreign_json.h"

#include <array>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"

namespace hardmoe {
namespace {

// Json finds keys by searching all of them: an object with more is first parsed as a tree.
constexpr size_t many_keys = 1000;
constexpr size_t longest_integer = 18;  // digits; so many always fit 64 bits

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Reads a text once: counts what is limited, and rewrites what nlohmann/json does not accept. The
/// text need not be valid; the parser reports what is wrong.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  void read() {
    for (size_t at = 0; at < text_.size();) at = step(at);
    if (rewritten_ > 0) result_ += text_.substr(rewritten_);
  }

  std::string_view result() const { return rewritten_ > 0 ? std::string_view(result_) : text_; }
  bool has_many_keys() const { return most_keys_ > many_keys; }

 private:
  /// Handles what begins at `at`; returns the position after it.
  size_t step(size_t at) {
    const char c = text_[at];
    switch (c) {
      case '"':
        return string(at + 1);
      case '[':
      case '{':
        if (++depth_ > deepest_json) fail("JSON nested deeper than {} levels", deepest_json);
        keys_[depth_ - 1] = 0;
        count_value();
        break;
      case ']':
      case '}':
        depth_ -= depth_ > 0 ? 1 : 0;
        break;
      case ',':
        count_value();
        break;
      case ':':
        if (depth_ > 0) most_keys_ = std::max(most_keys_, ++keys_[depth_ - 1]);
        break;
      default:
        return is_digit(c) || c == '-' ? number(at) : word(at);
    }
    return at + 1;
  }

  void count_value() {
    if (++values_ > most_json_values) fail("JSON of more than {} values", most_json_values);
  }

  size_t word(size_t at) {
    for (const std::string_view name : {"NaN", "Infinity"}) {
      if (text_.substr(at).starts_with(name)) return replace(at, at + name.size(), "null");
    }
    return at + 1;
  }

  size_t number(size_t begin) {
    const size_t digits = begin + (text_[begin] == '-' ? 1 : 0);
    if (text_.substr(digits).starts_with("Infinity")) return replace(begin, digits + 8, "null");
    size_t end = digits;
    while (end < text_.size() && is_digit(text_[end])) ++end;
    const size_t whole = end - digits;
    end = std::min(text_.find_first_not_of("+-.eE0123456789", end), text_.size());
    if (end == digits + whole) {
      if (whole <= longest_integer) return end;
      return replace(begin, end, '"' + std::string(text_.substr(begin, end - begin)) + '"');
    }
    const std::string_view token = text_.substr(begin, end - begin);
    const bool large = whole > 300 || token.find_first_of("eE") != std::string_view::npos;
    if (large && std::isinf(std::strtod(std::string(token).c_str(), nullptr))) {
      return replace(begin, end, "null");
    }
    return std::max(end, begin + 1);
  }

  /// Handles a string from after its opening quote.
  size_t string(size_t at) {
    while (true) {
      at = text_.find_first_of("\"\\", at);
      if (at == std::string_view::npos) return text_.size();
      if (text_[at] == '"') return at + 1;
      const unsigned unit = escaped_unit(at);
      if (unit < 0xD800 || unit > 0xDFFF) {
        at += 2;
        continue;
      }
      const unsigned next = escaped_unit(at + 6);
      if (unit < 0xDC00 && next >= 0xDC00 && next <= 0xDFFF) {
        at += 12;
      } else {
        at = replace(at, at + 6, undecodable);
      }
    }
  }

  /// Returns the code unit of "\uXXXX" at `at`; 0 for anything else.
  unsigned escaped_unit(size_t at) const {
    if (at + 6 > text_.size() || text_[at] != '\\' || text_[at + 1] != 'u') return 0;
    const std::string digits(text_.substr(at + 2, 4));
    char* end = nullptr;
    const unsigned long unit = std::strtoul(digits.c_str(), &end, 16);
    return end == digits.c_str() + 4 ? static_cast<unsigned>(unit) : 0;
  }

  size_t replace(size_t begin, size_t end, std::string_view with) {
    result_ += text_.substr(rewritten_, begin - rewritten_);
    result_ += with;
    return rewritten_ = end;
  }

  std::string_view text_;
  std::string result_;
  size_t rewritten_ = 0;  ///< position up to which the text is in the result
  size_t depth_ = 0, values_ = 0, most_keys_ = 0;
  std::array<size_t, deepest_json> keys_ = {};
};

}  // namespace

Json parse_foreign_json(std::string_view text) {
  if (is_utf16(text)) fail("UTF-16, expected UTF-8; convert it (iconv -f UTF-16 -t UTF-8)");
  text = without_byte_order_mark(text);
  if (text.size() > longest_json) {
    fail("JSON of {} bytes, at most {} are read", text.size(), longest_json);
  }
  Reader reader(text);
  reader.read();
  try {
    if (reader.has_many_keys()) return nlohmann::json::parse(reader.result());
    return Json::parse(reader.result());
  } catch (const nlohmann::json::exception& error) {
    fail("not valid JSON, {}", json_fault(text, error));
  }
}

}  // namespace hardmoe
