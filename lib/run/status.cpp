#include "run/status.h"

#include "base/files.h"
#include "base/folders.h"
#include "base/json.h"
#include "base/recorded.h"
#include "base/text.h"

namespace hardmoe {

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

std::string status_table(const std::vector<StageStatus>& stages) {
  std::vector<std::vector<std::string>> rows = {{"stage", "state", "seconds"}};
  for (const auto& [name, state, seconds] : stages) {
    rows.push_back({name,
                    state == StageState::done    ? "done"
                    : state == StageState::begun ? "begun"
                                                 : "waiting",
                    state == StageState::done ? fmt::format("{:.1f}", seconds) : ""});
  }
  return format_table(rows);
}

}  // namespace hardmoe
