// What is said of stages that failed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "run/child_process.h"

namespace hardmoe {

/// How a process ended.
struct ProcessResult {
  int exit_status = 0;  ///< 128 + signal if a signal killed it
  int signal = 0;       ///< the one that killed it; 0: none
  double seconds = 0;
};

/// A stage that failed.
struct StageFailure {
  const ProcessSpec* process;
  ProcessResult result;
  std::string message;  ///< what the process said last
};

/// Returns the sentence about a run that ends because of these, one at least: how each ended, by what
/// it said last, and perhaps for want of memory; where that stands; and how many stages were not
/// begun.
std::string failure_text(const std::vector<StageFailure>& failures, size_t not_begun);

}  // namespace hardmoe
