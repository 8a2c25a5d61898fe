// How a run goes, for people and programs that look at it: from its files alone, on any machine that
// sees them, whether or not somebody works on it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "run/stage_graph.h"

namespace hardmoe {

/// What a stage does.
enum class Activity {
  waiting,  ///< not begun
  running,
  interrupted,  ///< begun, to be gone on with
  failed,
  lost,  ///< its process went without a word, or has not been heard of for five minutes
  done,
};

/// A stage as one who looks sees it.
struct StageView {
  std::string name;
  Activity activity = Activity::waiting;
  double seconds = 0;        ///< of the process that finished it; 0 unless done
  int attempts = 0;          ///< by launchers; a command that a person typed is none
  int64_t images = -1;       ///< that an expert learns; -1: not known, or no expert
  std::string where = {};    ///< process, host and job that run it, or ran it last
  std::string device = {};   ///< that it was given
  std::string error = {};    ///< the last failure's, unless done
  Json progress = nullptr;   ///< of training the last line of its log; else what its command told
  double seconds_left = -1;  ///< -1: not known
};

/// Returns what each stage does, in the given order. Throws Error for a damaged stage.json.
std::vector<StageView> look_at(const std::vector<RunStage>& stages);

/// Returns whether a stage is to be tried again: it failed or was lost.
bool has_failed(const StageView& stage);

/// Returns a line for each stage, then the last errors, for people.
std::string view_table(const std::vector<StageView>& stages);

/// Returns the same for programs: {"counts": {STATE: number}, "stages": [{"stage": NAME, …}]}, where
/// what is not known is null (docs/formats.md).
Json view_json(const std::vector<StageView>& stages);

}  // namespace hardmoe
