// A configuration's keys as JSON Schema (draft 2020-12), by which editors complete, explain and check
// a YAML file. Not what the program reads by: that is load_yaml.
#pragma once

#include "base/config.h"

namespace hardmoe {

/// Returns the schema of a file with these fields: each key's type, meaning and default, the values
/// of enumerations; other keys are refused. A list may be a single value, and a list or section
/// empty, as load_yaml takes them; texts must be texts in YAML, too, which load_yaml does not ask.
Json config_schema(const Fields& fields, const std::string& title);

}  // namespace hardmoe
