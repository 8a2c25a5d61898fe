// JSON values (nlohmann/json) with errors that name the file and field. For our own files; for
// users' see foreign_json.h.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace hardmoe {

using Json = nlohmann::ordered_json;

/// Returns the fault for which parsing `text` threw `error`, such as "column 7: unexpected '}';
/// expected …"; with the line if `text` has several. Columns are bytes, from 1.
std::string json_fault(std::string_view text, const nlohmann::json::exception& error);
/// Parses a text. Throws Error naming `where` and the position of the fault.
Json parse_json(std::string_view text, std::string_view where);
/// Reads and parses a file. Throws Error naming it.
Json read_json(const std::filesystem::path& file);
/// Writes a file whole or not at all (see write_file_atomic), indented, with a final newline.
void write_json(const std::filesystem::path& file, const Json& value);

/// Returns value[key] as T. Throws Error naming `where` and the key if it is absent or of another
/// type.
template <class T>
T json_get(const Json& value, const char* key, std::string_view where);

/// Returns every leaf that differs, such as "train.lr: was 0.1, is 0.2".
std::vector<std::string> json_differences(const Json& was, const Json& is);

/// Throws Error for a field: "WHERE: field 'KEY' WHY".
[[noreturn]] void fail_json_field(std::string_view where, const char* key, std::string_view why);

template <class T>
T json_get(const Json& value, const char* key, std::string_view where) {
  const auto found = value.is_object() ? value.find(key) : value.end();
  if (found == value.end()) fail_json_field(where, key, "is missing");
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    // get() would cut 1.5 down to 1 and wrap -1 around.
    if (!found->is_number_integer()) fail_json_field(where, key, "is not a whole number");
    if (std::is_unsigned_v<T> && !found->is_number_unsigned() &&
        found->template get<int64_t>() < 0) {
      fail_json_field(where, key, "is negative");
    }
  }
  try {
    return found->template get<T>();
  } catch (const nlohmann::json::exception& error) {
    fail_json_field(where, key, error.what());
  }
}

}  // namespace hardmoe
