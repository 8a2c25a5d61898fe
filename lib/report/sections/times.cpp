#include <fmt/format.h>

#include <algorithm>

#include "base/folders.h"
#include "base/json_field.h"
#include "base/recorded.h"
#include "base/text.h"
#include "report/sections.h"

namespace hardmoe {
namespace {

std::string rate(const Json& results) {
  const Json found = results.value("images_per_second", Json());
  return found.is_number() ? fmt::format("{:.0f}", found.get<double>()) : "";
}

}  // namespace

void add_times(const RunContents& contents, Page& page) {
  const RunView& run = contents.run;
  page.heading(3, "Times and machines");
  std::vector<std::vector<std::string>> rows = {
      {"stage", "state", "seconds", "training FLOPs", "images a second", "machine"}};
  double seconds = 0, flops = 0;
  for (size_t i = 0; i < run.stages.size(); ++i) {
    const StageStatus& stage = run.stages[i];
    if (stage.state != StageState::done) {
      rows.push_back({stage.name, stage.state == StageState::begun ? "begun" : "waiting"});
      continue;
    }
    const auto file = run.pipeline.stages[i].folder / "stage.json";
    const std::string where = file.string();
    const Json record = read_stage_record(file);
    const Json& results = json_object(record, "results", where);
    // A stage's seconds begin at its last resumption; training's include all of them.
    const double took = std::max(stage.seconds, json_get_or(results, "seconds", 0.0, where));
    const double operations = json_get_or(results, "training_flops", 0.0, where);
    seconds += took;
    flops += operations;
    rows.push_back({stage.name, "done", fmt::format("{:.1f}", took),
                    operations > 0 ? human_count(operations) : "", rate(results),
                    record.value("machine", "")});
  }
  rows.push_back({"in all", "", fmt::format("{:.1f}", seconds), human_count(flops), "", ""});
  page.table(fmt::format("Stages on device {}", run.config.device), rows);
  page.note(
      "Seconds of each process, side by side where stages ran so: their sum is no time on the "
      "clock.");
}

}  // namespace hardmoe
