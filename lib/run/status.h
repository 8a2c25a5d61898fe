// How far a run is, by the records of its stages; the run itself may be going on or not.
#pragma once

#include <string>
#include <vector>

#include "run/stage_graph.h"

namespace hardmoe {

enum class StageState {
  waiting,  ///< no record: it has not begun
  begun,    ///< it runs, or was interrupted
  done,
};

struct StageStatus {
  std::string name;
  StageState state = StageState::waiting;
  double seconds = 0;  ///< that it took since it was last begun; 0 unless done
};

/// The state of each stage, in the graph's order. Throws Error for a damaged record.
std::vector<StageStatus> status_of(const std::vector<RunStage>& stages);

/// For people: a line a stage.
std::string status_table(const std::vector<StageStatus>& stages);

}  // namespace hardmoe
