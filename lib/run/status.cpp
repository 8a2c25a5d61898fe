#include "run/status.h"

#include "base/files.h"
#include "base/folders.h"
#include "base/json.h"
#include "base/recorded.h"
#include "base/text.h"

namespace hardmoe {
namespace {

const char* text_of(StageState state) {
  return state == StageState::done ? "done" : state == StageState::begun ? "begun" : "waiting";
}

}  // namespace

std::vector<StageStatus> status_of(const std::vector<RunStage>& stages) {
  std::vector<StageStatus> found;
  for (const RunStage& stage : stages) {
    StageStatus status{stage.process.name};
    const auto file = stage.folder / "stage.json";
    if (path_exists(file)) {
      const Json record = read_stage_record(file);
      const bool done = json_get<bool>(record, "done", file.string());
      status.state = done ? StageState::done : StageState::begun;
      if (done) status.seconds = json_get<double>(record, "seconds", file.string());
    }
    found.push_back(std::move(status));
  }
  return found;
}

std::string stage_list(const std::vector<StageStatus>& stages) {
  std::vector<std::vector<std::string>> rows = {{"stage", "state"}};
  for (const StageStatus& stage : stages) rows.push_back({stage.name, text_of(stage.state)});
  return format_table(rows);
}

}  // namespace hardmoe
