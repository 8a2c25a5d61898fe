// Settings that are a set of named things: a list of names, "all" or "none".
#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace hardmoe {

/// Returns the values, an enum's from 0, that `given` means; `names`: of all, in their order.
/// Alone, "all" means each, "none" and "false" none. Throws Error(usage) naming `key` and the name
/// that is unknown.
template <class Enum>
std::set<Enum> parse_name_set(const char* key, const std::vector<std::string>& names,
                              const std::vector<std::string>& given) {
  std::set<Enum> values;
  const std::string word = given.size() == 1 ? given[0] : "";
  if (word == "none" || word == "false") return values;
  for (const auto& name : word == "all" ? names : given) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) {
      fail_usage("{}: expected all, none or a list of {}; found '{}'", key, join(names, ", "),
                 name);
    }
    values.insert(static_cast<Enum>(found - names.begin()));
  }
  return values;
}

/// Returns the names of the values, in the order of the enum.
template <class Enum>
std::vector<std::string> names_of_set(const std::vector<std::string>& names,
                                      const std::set<Enum>& values) {
  std::vector<std::string> of_these;
  for (const Enum value : values) of_these.push_back(names.at(static_cast<size_t>(value)));
  return of_these;
}

}  // namespace hardmoe
