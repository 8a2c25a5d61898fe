#include "draw/html.h"

#include <fmt/format.h>

#include "base/text.h"

namespace hardmoe {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

/// Returns whether XML 1.0 allows the character, given as UTF-8.
bool allowed_in_xml(std::string_view character) {
  if (character.size() == 1) {
    const auto byte = static_cast<unsigned char>(character[0]);
    return byte >= 0x20 ? byte != 0x7F : byte == '\t' || byte == '\n' || byte == '\r';
  }
  // U+0080 … U+009F are allowed by XML, but not by HTML; U+FFFE and U+FFFF by neither.
  if (character.size() == 2 && character[0] == '\xC2') {
    return static_cast<unsigned char>(character[1]) >= 0xA0;
  }
  return character != "\xEF\xBF\xBE" && character != "\xEF\xBF\xBF" &&
         !(character.size() == 3 && character >= "\xEF\xB7\x90" && character <= "\xEF\xB7\xAF");
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t length = utf8_length(text, at);
    const std::string_view character = text.substr(at, length == 0 ? 1 : length);
    at += character.size();
    if (length == 0 || !allowed_in_xml(character)) {
      out += replacement;
    } else if (character == "&") {
      out += "&amp;";
    } else if (character == "<") {
      out += "&lt;";
    } else if (character == ">") {
      out += "&gt;";
    } else if (character == "\"") {
      out += "&quot;";
    } else if (character == "'") {
      out += "&#39;";
    } else {
      out += character;
    }
  }
  return out;
}

std::string element(std::string_view name, std::string_view content, std::string_view attributes) {
  return fmt::format("<{}{}{}>{}</{}>", name, attributes.empty() ? "" : " ", attributes, content,
                     name);
}

std::string paragraph(std::string_view text, std::string_view css_class) {
  const std::string attributes = css_class.empty() ? "" : fmt::format("class=\"{}\"", css_class);
  return element("p", escape_markup(text), attributes) + "\n";
}

std::string html_table(std::string_view caption, const std::vector<std::vector<std::string>>& rows,
                       TableCells cells) {
  std::string head, body;
  for (size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (size_t c = 0; c < rows[0].size(); ++c) {
      const std::string text = c < rows[r].size() ? escape_markup(rows[r][c]) : "";
      if (r == 0) {
        line += element("th", text, "scope=\"col\"");
      } else {
        line += c == 0 ? element("th", text, "scope=\"row\"") : element("td", text);
      }
    }
    (r == 0 ? head : body) += element("tr", line) + "\n";
  }
  const std::string content =
      element("caption", escape_markup(caption)) + element("thead", head) + element("tbody", body);
  const char* css_class = cells == TableCells::numbers ? "class=\"numbers\"" : "class=\"texts\"";
  return element("div", element("table", content, css_class), "class=\"wide\"") + "\n";
}

std::string data_uri(std::string_view media_type, std::string_view bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out = fmt::format("data:{};base64,", media_type);
  out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    uint32_t value = 0;
    for (size_t i = 0; i < 3; ++i) {
      value = value << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (size_t i = 0; i < 4; ++i) {
      out += i <= count ? digits[value >> (18 - 6 * i) & 63] : '=';
    }
  }
  return out;
}

std::string shortened(std::string_view text, size_t most) {
  std::vector<size_t> begins;  // of the characters
  for (size_t at = 0; at < text.size();) {
    begins.push_back(at);
    const size_t length = utf8_length(text, at);
    at += length == 0 ? 1 : length;
  }
  if (begins.size() <= most) return std::string(text);
  return std::string(text.substr(0, begins[most - 1])) + "…";
}

}  // namespace hardmoe
