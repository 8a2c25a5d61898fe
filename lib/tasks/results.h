// How commands print a stage's results.
#pragma once

#include <string>

#include "base/stage.h"

namespace hardmoe {

/// Returns the results as one line of JSON, with the line end.
std::string result_line(const Json& results);

/// Returns result_line of a finished stage, and writes on standard error that it is done already.
std::string results_of_done(const Stage& stage);

}  // namespace hardmoe
