// The results of a finished run.
#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"
#include "tasks/config.h"

namespace hardmoe {

/// Returns the results of the finished run under `out`: a row each for base, base trained longer
/// (if run), mixture with local decoders, mixture with the shared decoder.
Json pipeline_summary(const Config& config, const std::filesystem::path& out);
/// Returns the rows as tables for people: one against the tags and, if there is truth, one against
/// the truth.
std::string summary_table(const Json& summary);

}  // namespace hardmoe
