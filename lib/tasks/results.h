// What commands print of a stage's results.
#pragma once

#include <string>

#include "base/stage.h"

namespace hardmoe {

/// The results as one line of JSON, line end included.
std::string result_line(const Json& results);

/// As result_line, of a stage that is done; says on standard error that it is.
std::string results_of_done(const Stage& stage);

}  // namespace hardmoe
