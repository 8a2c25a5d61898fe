#include "ingest/sources/list_text.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/error.h"
#include "base/text.h"

namespace hardmoe {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool is_quote(char c) { return c == '\'' || c == '"'; }

bool is_null(std::string_view word) {
  return word == "None" || word == "nan" || word == "NaN" || word == "null" || word == "NULL" ||
         word == "<NA>" || word == "NaT";
}

bool is_number(std::string_view word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  // NumPy writes "1."; infinities and names are not numbers here.
  return error == std::errc() && end == word.data() + word.size() &&
         word.find_first_not_of("+-.eE0123456789") == std::string_view::npos;
}

void add_utf8(unsigned code, std::string& text) {
  if (code >= 0xD800 && code <= 0xDFFF) {
    text += undecodable;
  } else if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | code >> 12);
    text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | code >> 18);
    text += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  }
}

/// Parses one text. Throws Error if it is not a list of texts.
class Parser {
 public:
  Parser(std::string_view text, size_t most) : text_(text), most_(most) {}

  ListText parse() {
    const size_t opened = text_.find_first_of("[({");
    if (opened > 0) {  // array(…), frozenset(…)
      at_ = opened + 1;
      skip_space();
      if (text_[at_] != ')') list();
      at_ = text_.size();  // skips ", dtype=object)"
      quoted_ = true;
    } else {
      list();
    }
    if (at_ != text_.size()) fail("something stands behind its end");
    ListText result;
    result.kind = quoted_ || bare_ == 0 ? ListText::Kind::quoted : ListText::Kind::bare;
    result.elements = std::move(elements_);
    return result;
  }

  /// Returns the string whose opening quote is at `at`, and moves `at` past it.
  std::string string() {
    const char quote = text_[at_++];
    std::string value;
    while (true) {
      if (at_ >= text_.size()) fail("a quote in it is not closed");
      const char c = text_[at_++];
      if (c == quote) return value;
      if (c == '\\' && at_ < text_.size()) {
        escape(value);
      } else {
        value += c;
      }
    }
  }

  void move_to(size_t at) { at_ = at; }
  size_t position() const { return at_; }

 private:
  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }

  void list() {
    const char open = text_[at_++];
    const char close = open == '[' ? ']' : open == '{' ? '}' : ')';
    while (elements_.size() <= most_) {
      skip_space();
      if (at_ >= text_.size()) fail("it has no end");
      const char c = text_[at_];
      if (c == close) {
        ++at_;
        return;
      }
      if (c == ',') {
        ++at_;
        separated_ = true;
        continue;
      }
      if (c == ':') {
        fail("it is a dictionary");
      } else if (c == '(' || (c == '[' && open != '{') || c == '{') {
        fail("there are lists in it");
      } else if (!quoted_element()) {
        bare_element(open, close);
      }
      separated_ = false;
    }
    at_ = text_.size();  // more elements than the caller wants
  }

  /// Parses 'a', u'a', b'a' or np.str_('a').
  bool quoted_element() {
    size_t quote = at_;
    while (quote < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[quote])) != 0 ||
                                    text_[quote] == '_' || text_[quote] == '.')) {
      ++quote;
    }
    const std::string_view before = text_.substr(at_, quote - at_);
    const bool called = !before.empty() && quote + 1 < text_.size() && text_[quote] == '(';
    if (called) ++quote;
    if (quote >= text_.size() || !is_quote(text_[quote])) return false;
    if (!called && !before.empty() && before != "b" && before != "u") return false;  // rock'n'roll
    at_ = quote;
    elements_.push_back(string());
    if (called && at_ < text_.size() && text_[at_] == ')') ++at_;
    if (at_ < text_.size() && std::isalnum(static_cast<unsigned char>(text_[at_])) != 0) {
      fail("a quote in it is not closed");  // 'b's', as pandas prints its own arrays
    }
    if (elements_.back().empty()) elements_.pop_back();
    quoted_ = true;
    return true;
  }

  /// Parses up to a comma, the end or, in NumPy's mixed lists, a quote after a blank.
  void bare_element(char open, char close) {
    const size_t begin = at_;
    for (; at_ < text_.size() && text_[at_] != ',' && text_[at_] != close; ++at_) {
      if (at_ > begin && is_quote(text_[at_]) && is_space(text_[at_ - 1])) break;
    }
    const std::string_view element = trim(text_.substr(begin, at_ - begin));
    // PostgreSQL quotes elements with braces, but not those with brackets.
    if (element.find_first_of(open == '{' ? "{" : "[{") != std::string_view::npos) {
      fail("there are lists in it");
    }
    if (element.starts_with("...")) fail("NumPy left out what is in the middle of it");
    if (is_null(element)) return;
    const auto words = words_of(element);
    if (std::all_of(words.begin(), words.end(),
                    [](std::string_view word) { return is_number(word) || is_null(word); })) {
      for (const std::string_view word : words) {
        if (!is_null(word))
          elements_.emplace_back(word.ends_with('.') ? word.substr(0, word.size() - 1) : word);
      }
      bare_ += words.size();
      return;
    }
    // DuckDB quotes only some elements, between commas; NumPy, without commas, quotes all.
    if (quoted_ && !separated_) fail("what follows a quote in it is no separator");
    elements_.emplace_back(element);
    ++bare_;
  }

  std::vector<std::string_view> words_of(std::string_view text) const {
    std::vector<std::string_view> words;
    for (size_t at = 0; at < text.size() && words.size() <= most_;) {
      const size_t end = std::min(text.find_first_of(" \t\r\n", at), text.size());
      if (end > at) words.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    return words;
  }

  /// Parses what follows a backslash.
  void escape(std::string& value) {
    const char c = text_[at_++];
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits > 0) {
      unsigned code = hexadecimal(digits);
      // Surrogate pairs, as in JSON.
      if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
        const size_t before = at_;
        at_ += 2;
        const unsigned low = hexadecimal(4);
        if (low >= 0xDC00 && low <= 0xDFFF) {
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        } else {
          at_ = before;
        }
      }
      add_utf8(std::min(code, 0x10FFFFU), value);
      return;
    }
    constexpr std::string_view names = "ntrbf\n", characters = "\n\t\r\b\f ";
    const size_t name = names.find(c);
    value += name == std::string_view::npos ? c : characters[name];
  }

  unsigned hexadecimal(size_t digits) {
    unsigned code = 0;
    const char* begin = text_.data() + at_;
    if (at_ + digits > text_.size() ||
        std::from_chars(begin, begin + digits, code, 16).ptr != begin + digits) {
      fail("an escape in it is damaged");
    }
    at_ += digits;
    return code;
  }

  std::string_view text_;
  size_t most_;
  size_t at_ = 0;
  std::vector<std::string> elements_;
  size_t bare_ = 0;        ///< elements without quotes
  bool separated_ = true;  ///< a comma or the beginning precedes the next element
  bool quoted_ = false;
};

/// Returns whether a text begins as programs write calls ("array(", "set("), which tags do not.
bool is_call(std::string_view text) {
  for (const std::string_view name :
       {"array(", "set(", "frozenset(", "list(", "tuple(", "Index(", "deque("}) {
    if (!text.starts_with(name) || !text.ends_with(')')) continue;
    const std::string_view inside = trim(text.substr(name.size()));
    return inside.front() == '[' || inside.front() == '{' || inside == ")";
  }
  return false;
}

/// Parses what pandas prints of its arrays: "<ArrowStringArray>\n['a', 'b']\nLength: 2, dtype:
/// str".
std::string_view array_within(std::string_view text) {
  const size_t begin = text.find("Array>\n[");
  const size_t end = text.rfind("]\nLength: ");
  if (!text.starts_with('<') || begin == std::string_view::npos || end == std::string_view::npos ||
      end < begin) {
    return text;
  }
  return text.substr(begin + 7, end - begin - 6);
}

/// Parses what pandas prints of a series: an element a line, then "dtype: str".
bool is_series(std::string_view text) {
  const size_t line = text.rfind('\n');
  return line != std::string_view::npos && text.find("dtype: ", line) != std::string_view::npos;
}

}  // namespace

ListText parse_list_text(std::string_view text, size_t most) {
  text = trim(text);
  if (is_series(text) && array_within(text) == text) {
    return {ListText::Kind::broken, {}, "it is a pandas series as printed"};
  }
  text = array_within(text);
  if (text.size() < 2) return {};
  const char open = text.front();
  const char close = open == '[' ? ']' : open == '{' ? '}' : open == '(' ? ')' : '\0';
  const bool call = is_call(text);
  if (close == '\0' && !call) return {};
  std::string_view inside = trim(text.substr(1));
  while (!inside.empty() && (inside[0] == '[' || inside[0] == '(' || inside[0] == '{')) {
    inside = trim(inside.substr(1));  // a list of lists
  }
  const bool quote_first = !inside.empty() && is_quote(inside.front());
  const bool ends = text.back() == close;
  // A tuple contains quotes; "(disambiguation)" is a tag.
  const bool sure = call || (quote_first && (open != '(' || ends));
  const bool empty_tuple = open == '(' && inside == ")";
  if (!sure && (!ends || (open == '(' && !empty_tuple))) return {};
  try {
    return Parser(text, most).parse();
  } catch (const Error& error) {
    if (!sure) return {};
    return {ListText::Kind::broken, {}, error.what()};
  }
}

std::optional<std::string> path_of_image_text(std::string_view text) {
  text = trim(text);
  if (!text.starts_with("{'bytes': ") || !text.ends_with('}')) return {};
  constexpr std::string_view before = "{'bytes': None, 'path': ";
  if (!text.starts_with(before) || text.size() <= before.size() || !is_quote(text[before.size()])) {
    return "";
  }
  Parser parser(text, 0);
  parser.move_to(before.size());
  try {
    std::string path = parser.string();
    if (parser.position() == text.size() - 1) return path;
  } catch (const Error&) {
    return "";
  }
  return "";
}

}  // namespace hardmoe
