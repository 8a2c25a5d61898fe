#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdint>

#include "base/text.h"
#include "base/version.h"
#include "guide.h"

namespace hardmoe {
namespace {

constexpr size_t longest_line = 79;  // bytes, of running text

/// Returns the number of a character, given as its UTF-8 bytes, of which there are 2 to 4.
uint32_t code_point(const std::string& bytes) {
  uint32_t code = static_cast<uint8_t>(bytes[0]) & (0xFFU >> (bytes.size() + 1));
  for (size_t i = 1; i < bytes.size(); ++i) {
    code = code << 6 | (static_cast<uint8_t>(bytes[i]) & 0x3FU);
  }
  return code;
}

/// Returns what stands for one of ASCII's characters; groff shows some as others unless they are
/// asked for.
std::string plain_character(char c) {
  switch (c) {
    case '\\':
      return "\\e";
    case '-':
      return "\\-";
    case '\'':
      return "\\(aq";
    case '`':
      return "\\(ga";
    case '~':
      return "\\(ti";
    case '^':
      return "\\(ha";
    default:
      return {c};
  }
}

/// Returns a line that roff shows as it is: . at its beginning is a request; other characters than
/// ASCII's are named by number.
std::string roff(const std::string& text) {
  std::string escaped;
  if (text.starts_with('.')) escaped = "\\&";
  for (size_t at = 0; at < text.size();) {
    const size_t length = std::max<size_t>(utf8_length(text, at), 1);
    if (length > 1) {
      escaped += fmt::format("\\[u{:04X}]", code_point(text.substr(at, length)));
    } else {
      const char c = text[at];
      escaped += plain_character(c);
    }
    at += length;
  }
  return escaped;
}

/// Returns running text as lines, the last one ended.
std::string filled(const std::string& text) {
  std::string lines, line;
  for (const auto& word : split(text, ' ')) {
    if (word.empty()) continue;
    if (!line.empty() && roff(fmt::format("{} {}", line, word)).size() > longest_line) {
      lines += roff(line) + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return lines + roff(line) + "\n";
}

std::string bold(const std::string& text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + roff(text) + "\\fR"; }

/// Returns the description up to its first full stop, colon or semicolon, as the line by which
/// apropos finds the page.
std::string purpose(const std::string& description) {
  std::string text = description.substr(0, description.find('\n'));
  for (const char* end : {". ", ": ", "; "}) text = text.substr(0, text.find(end));
  if (text.ends_with('.')) text.pop_back();
  text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

/// Returns paragraphs, which empty lines part.
std::string paragraphs(const std::string& text) {
  std::string page;
  for (const auto& line : split(text, '\n')) page += line.empty() ? ".PP\n" : filled(line);
  return page;
}

std::string usage(const Guide& guide) {
  std::string text = bold(guide.name) + " [" + italic("OPTIONS") + "]";
  for (const auto& option : guide.options) {
    if (!option.argument) continue;
    const std::string shown = italic(option.name) + (option.repeats ? "..." : "");
    text += option.required ? " " + shown : " [" + shown + "]";
  }
  return text + "\n";
}

std::string entry(const OptionGuide& option) {
  std::string head = option.argument ? italic(option.name) : bold(option.name);
  if (!option.brief.empty()) head = bold(option.brief) + ", " + head;
  if (!option.value.empty()) head += " " + italic(option.value);
  if (option.repeats && !option.value.empty()) head += " ...";
  const std::string initial = option.initial.empty() ? "" : ". Default: " + option.initial;
  return ".TP\n" + head + "\n" + filled(option.help + initial);
}

std::string entries(const Guide& guide, bool arguments, const char* heading) {
  std::string text;
  for (const auto& option : guide.options) {
    if (option.argument == arguments) text += entry(option);
  }
  return text.empty() ? "" : heading + text;
}

std::string keys(const Guide& guide) {
  std::string text;
  for (const auto& key : guide.keys) {
    if (!key.in_help) continue;
    text += ".TP\n" + bold(key.path + "=" + key.initial) + "\n" + filled(key.help);
  }
  if (text.empty()) return "";
  return ".SH CONFIGURATION KEYS\nThose without an option, for\n.B \\-\\-set\n"
         "and configuration files.\n" +
         text;
}

}  // namespace

std::string man_page(const Guide& guide, const std::string& date) {
  std::string title;
  for (const char c : guide.name) {
    title += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  std::string page =
      fmt::format(".TH {} 1 {} \"hardmoe {}\"\n.ad l\n.nh\n", roff(title), date, version);
  page += ".SH NAME\n" + filled(guide.name + " - " + purpose(guide.description));
  page += ".SH SYNOPSIS\n" + usage(guide);
  page += ".SH DESCRIPTION\n" + paragraphs(guide.description);
  page += entries(guide, true, ".SH ARGUMENTS\n");
  page += entries(guide, false, ".SH OPTIONS\n");
  page += keys(guide);
  page += ".SH NOTES\n" + paragraphs(guide.notes);
  page += ".SH EXAMPLES\n.EX\n";
  for (const auto& example : guide.examples) page += roff(example) + "\n";
  page += ".EE\n";
  if (guide.name != "moe-run") page += ".SH SEE ALSO\n.BR moe\\-run (1)\n";
  return page;
}

}  // namespace hardmoe
