#include "base/json_field.h"

#include <fmt/format.h>

#include <limits>

namespace hardmoe {
namespace {

/// Returns value[key]. Throws Error naming `where` and the key if it is absent.
const Json& present(const Json& value, const char* key, std::string_view where) {
  const auto found = value.is_object() ? value.find(key) : value.end();
  if (found == value.end()) fail_json_field(where, key, "is missing");
  return *found;
}

}  // namespace

const Json& json_object(const Json& value, const char* key, std::string_view where) {
  const Json& found = present(value, key, where);
  if (found.is_object()) return found;
  fail_json_field(where, key, fmt::format("holds {}, expected object", found.type_name()));
}

const Json& json_list(const Json& value, const char* key, std::string_view where) {
  const Json& found = present(value, key, where);
  if (found.is_array()) return found;
  fail_json_field(where, key, fmt::format("holds {}, expected array", found.type_name()));
}

int json_int(const Json& value, const char* key, std::string_view where) {
  using Limits = std::numeric_limits<int>;
  const auto found = json_get<int64_t>(value, key, where);
  const Json& stored = value[key];
  const bool beyond = stored.is_number_unsigned() && stored.get<uint64_t>() > INT64_MAX;
  if (!beyond && found >= Limits::min() && found <= Limits::max()) return static_cast<int>(found);
  fail_json_field(
      where, key,
      fmt::format("is {}, expected {} to {}", stored.dump(), Limits::min(), Limits::max()));
}

}  // namespace hardmoe
