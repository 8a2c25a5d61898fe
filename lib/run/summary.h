// What a finished run came to.
#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"
#include "tasks/config.h"

namespace hardmoe {

/// Reads the results of the finished run under `out`: one row for each of base, base trained longer
/// (if run), mixture with local decoders, mixture with the shared decoder.
Json pipeline_summary(const Config& config, const std::filesystem::path& out);
/// The rows as a table for people; one against tags, one against truth where there is any.
std::string summary_table(const Json& summary);

}  // namespace hardmoe
