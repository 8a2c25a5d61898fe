// Fields of our own JSON files of special kinds: absent from older files, objects and lists that are
// walked in place, counts that must fit an int. For all others see json_get in base/json.h.
#pragma once

#include <string_view>
#include <utility>

#include "base/json.h"

namespace hardmoe {

/// Returns value[key] as T, or `otherwise` if an object lacks the key. Throws Error naming `where`
/// and the key if the field is of another type, or `value` is no object.
template <class T>
T json_get_or(const Json& value, const char* key, T otherwise, std::string_view where) {
  if (value.is_object() && !value.contains(key)) return otherwise;
  return json_get<T>(value, key, where);
}

/// Returns the object value[key]. Throws Error naming `where` and the key if it is absent or no
/// object.
const Json& json_object(const Json& value, const char* key, std::string_view where);

/// Returns the list value[key]. Throws Error naming `where` and the key if it is absent or no list.
const Json& json_list(const Json& value, const char* key, std::string_view where);

/// Returns the whole number value[key]. Throws Error naming `where` and the key if it is absent, of
/// another type or beyond an int.
int json_int(const Json& value, const char* key, std::string_view where);

}  // namespace hardmoe
