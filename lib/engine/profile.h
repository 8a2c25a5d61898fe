// What the programs of all engines share beside the plan: profiles, and calls that belong to one
// mode.
#pragma once

#include <vector>

#include "engine/engine.h"

namespace hardmoe {

/// Sums lines of one name up; most seconds first.
std::vector<ProfileLine> merged_profile(const std::vector<ProfileLine>& lines);

/// Throws Error naming the call unless the program was compiled for `mode`.
void require_mode(const CompileOptions& options, Mode mode, const char* call);

}  // namespace hardmoe
