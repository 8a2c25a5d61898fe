// How far a run is, by the records of its stages, whether or not the run is still going on.
#pragma once

#include <string>
#include <vector>

#include "run/stage_graph.h"

namespace hardmoe {

/// How far a stage is.
enum class StageState {
  waiting,  ///< not begun: it has no record
  begun,    ///< runs, or was interrupted
  done,
};

/// A stage and how far it is.
struct StageStatus {
  std::string name;
  StageState state = StageState::waiting;
  double seconds = 0;  ///< of the process that finished it, without earlier ones; 0 unless done
};

/// Returns the state of each stage, in the given order. Throws Error for a damaged record.
std::vector<StageStatus> status_of(const std::vector<RunStage>& stages);

/// Returns a line for each stage with its name and state alone.
std::string stage_list(const std::vector<StageStatus>& stages);

}  // namespace hardmoe
