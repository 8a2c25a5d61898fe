// How far a run is, while its stages run: on a terminal one line, elsewhere messages now and then.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/log.h"

namespace hardmoe {

/// A stage that runs, and the object it last told of its progress (null before the first).
using RunningStage = std::pair<std::string, Json>;

/// Tells how far the running stages are.
class StageProgress {
 public:
  StageProgress();
  ~StageProgress();
  StageProgress(const StageProgress&) = delete;
  StageProgress& operator=(const StageProgress&) = delete;

  /// `done` of `total` stages have ended. Shows it where it is due (ProgressTimes). As JSON an object
  /// for each running stage that has told something, with its name as "stage".
  void update(size_t done, size_t total, const std::vector<RunningStage>& running);

 private:
  ProgressForm form_;
  double start_;
  ProgressTimes times_;
};

/// Returns "expert 0 42%, 12 s left" for a stage.
std::string progress_text(const RunningStage& stage);

}  // namespace hardmoe
