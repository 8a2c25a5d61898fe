#include "base/format_number.h"

#include <charconv>

#include "base/error.h"
#include "base/version.h"

namespace hardmoe {

std::string format_text(const FileFormat& format) {
  return fmt::format("hardmoe {} {}", format.kind, format.newest);
}

int require_format(const FileFormat& format, std::string_view found, const std::string& where) {
  if (found.empty()) return 1;
  const std::string beginning = fmt::format("hardmoe {} ", format.kind);
  int number = 0;
  if (found.starts_with(beginning)) {
    const std::string_view digits = found.substr(beginning.size());
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc() || end != digits.data() + digits.size()) number = 0;
  }
  if (number < 1) {
    fail("{}: its format is '{}', expected '{}': another kind of file", where, found,
         format_text(format));
  }
  if (number > format.newest) {
    fail("{}: its format is '{}', newer than '{}', which this hardmoe {} knows; update hardmoe",
         where, found, format_text(format), version);
  }
  return number;
}

int require_json_format(const FileFormat& format, const Json& record, const std::string& where) {
  if (!record.is_object() || !record.contains("format")) return 1;
  return require_format(format, json_get<std::string>(record, "format", where), where);
}

}  // namespace hardmoe
