// Helpers for the programs of all engines: profiles, and the check that a call suits the mode.
#pragma once

#include <vector>

#include "engine/engine.h"

namespace hardmoe {

/// Returns one line for each name, with the sum of its seconds; most seconds first.
std::vector<ProfileLine> merged_profile(const std::vector<ProfileLine>& lines);

/// Throws Error naming the call unless the program was compiled for `mode`.
void require_mode(const CompileOptions& options, Mode mode, const char* call);

}  // namespace hardmoe
