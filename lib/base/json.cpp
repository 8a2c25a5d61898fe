#include "base/json.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "base/json_line.h"
#include "base/ordered_json.h"

namespace hardmoe {

std::string json_fault(std::string_view text, const nlohmann::json::exception& error) {
  // "[json.exception.parse_error.101] parse error at line 1, column 7: syntax error while parsing
  // value - unexpected '}'; expected …"; faults without a position have other words after the
  // bracket.
  std::string_view what = error.what();
  what.remove_prefix(what.find("] ") + 2);
  std::string position;
  const size_t line = what.find("line ");
  const size_t reason = what.find(" - ");
  if (line != std::string_view::npos && reason != std::string_view::npos) {
    const bool one_line = text.find('\n') == std::string_view::npos;
    const size_t begin = one_line ? what.find("column ") : line;
    position = what.substr(begin, what.find(':') + 2 - begin);
    what.remove_prefix(reason + 3);
  }
  constexpr size_t longest = 160;  // a fault ends with the text read last, which may be long
  if (what.size() <= longest) return position + std::string(what);
  size_t end = longest;
  while ((static_cast<unsigned char>(what[end]) & 0xC0) == 0x80)
    --end;  // do not cut within a character
  return position + std::string(what.substr(0, end)) + "…";
}

Json parse_json(std::string_view text, std::string_view where) {
  try {
    return parse_ordered_json(text);
  } catch (const nlohmann::json::exception& error) {
    fail("{}: not valid JSON, {}", where, json_fault(text, error));
  } catch (const Error& error) {
    fail("{}: JSON of a kind that is not ours: {}", where, error.what());
  }
}

Json read_json(const std::filesystem::path& file) {
  return parse_json(read_file(file), file.string());
}

void write_json(const std::filesystem::path& file, const Json& value) {
  // File names need not be UTF-8, but JSON must be: invalid bytes become U+FFFD.
  write_file_atomic(file, value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

namespace {

/// Returns the parser's complaint of a type, "[json.exception.type_error.302] type must be string, but
/// is number", as "holds number, expected string"; anything else as it is.
std::string plain_words(std::string_view why) {
  constexpr std::string_view bracket = "[json.exception.", expected = "type must be ",
                             found = ", but is ";
  if (!why.starts_with(bracket)) return std::string(why);
  why.remove_prefix(std::min(why.find("] "), why.size() - 2) + 2);
  const size_t middle = why.find(found);
  if (!why.starts_with(expected) || middle == std::string_view::npos) return std::string(why);
  return fmt::format("holds {}, expected {}", why.substr(middle + found.size()),
                     why.substr(expected.size(), middle - expected.size()));
}

}  // namespace

void fail_json_field(std::string_view where, const char* key, std::string_view why) {
  fail("{}: field '{}' {}", where, key, plain_words(why));
}

namespace {

bool is_sha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string shown(const Json* value) {
  if (value == nullptr) return "absent";
  if (value->is_string() && is_sha256(value->get<std::string>())) {
    return value->get<std::string>().substr(0, 12) + "…";
  }
  const std::string text = value->dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() <= 120 ? text : text.substr(0, 117) + "...";
}

/// An object's values by key, as an object itself looks through all its keys for one.
using Members = std::unordered_map<std::string_view, const Json*>;

/// Returns the members of an object; none of what is absent.
Members members_of(const Json* object) {
  Members members;
  if (object == nullptr) return members;
  for (const auto& [key, value] : object->get_ref<const Json::object_t&>()) {
    members.emplace(key, &value);
  }
  return members;
}

/// Returns the value of a key; nullptr if it is absent.
const Json* find(const Members& members, std::string_view key) {
  const auto found = members.find(key);
  return found == members.end() ? nullptr : found->second;
}

void add_differences(const std::string& path, const Json* was, const Json* is,
                     std::vector<std::string>& lines) {
  const auto inside = [&](const std::string& key) { return path.empty() ? key : path + "." + key; };
  const auto is_object = [](const Json* value) { return value != nullptr && value->is_object(); };
  // A section that is absent on one side is shown by its leaves, or as itself if it has none.
  const bool both = is_object(was) && is_object(is);
  const bool one = (was == nullptr && is_object(is) && !is->empty()) ||
                   (is == nullptr && is_object(was) && !was->empty());
  if (both || one) {
    const Members of_was = members_of(was), of_is = members_of(is);
    for (const Json* side : {was, is}) {
      if (side == nullptr) continue;
      for (const auto& [key, value] : side->get_ref<const Json::object_t&>()) {
        if (side == is && find(of_was, key) != nullptr) continue;  // told with the other side
        add_differences(inside(key), find(of_was, key), find(of_is, key), lines);
      }
    }
  } else if (was != nullptr && is != nullptr && was->is_array() && is->is_array() &&
             was->size() == is->size()) {
    for (size_t i = 0; i < was->size(); ++i) {
      add_differences(inside(std::to_string(i)), &was->at(i), &is->at(i), lines);
    }
  } else if (was == nullptr || is == nullptr || *was != *is) {
    lines.push_back(
        fmt::format("{}: was {}, is {}", path.empty() ? "value" : path, shown(was), shown(is)));
  }
}

}  // namespace

std::vector<std::string> json_differences(const Json& was, const Json& is) {
  std::vector<std::string> lines;
  add_differences("", &was, &is, lines);
  return lines;
}

std::string json_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hardmoe
