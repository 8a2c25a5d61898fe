#include "base/json.h"

#include "base/error.h"
#include "base/files.h"

namespace hardmoe {

Json parse_json(std::string_view text, std::string_view where) {
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    fail("{}: not valid JSON at byte {}: {}", where, error.byte, error.what());
  }
}

Json read_json(const std::filesystem::path& file) {
  return parse_json(read_file(file), file.string());
}

void write_json(const std::filesystem::path& file, const Json& value) {
  write_file_atomic(file, value.dump(2) + "\n");
}

void fail_json_field(std::string_view where, const char* key, std::string_view why) {
  fail("{}: field '{}' {}", where, key, why);
}

std::vector<std::string> json_differences(const Json& was, const Json& is) {
  const auto shown = [](const Json& leaf) { return leaf.is_null() ? "absent" : leaf.dump(); };
  std::vector<std::string> lines;
  const Json before = was.flatten();
  const Json after = is.flatten();
  const auto name = [](std::string pointer) {
    if (!pointer.empty()) pointer.erase(0, 1);
    for (char& c : pointer) c = c == '/' ? '.' : c;
    return pointer;
  };
  for (const auto& [key, value] : before.items()) {
    const Json now = after.value(key, Json());
    if (now != value) lines.push_back(fmt::format("{}: was {}, is {}", name(key), shown(value), shown(now)));
  }
  for (const auto& [key, value] : after.items()) {
    if (!before.contains(key)) lines.push_back(fmt::format("{}: was absent, is {}", name(key), shown(value)));
  }
  return lines;
}

}  // namespace hardmoe
