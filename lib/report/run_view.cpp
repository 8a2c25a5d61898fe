#include "report/run_view.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/config.h"
#include "base/error.h"
#include "base/folders.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "run/summary.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Returns the folder without a last slash.
fs::path plain(const fs::path& folder) {
  const fs::path normal = folder.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

bool is_text(const Json& row, const char* key) { return row.contains(key) && row[key].is_string(); }

/// Returns whether the row has the key, with a number or null.
bool is_figure(const Json& row, const std::string& key) {
  return row.contains(key) && (row[key].is_number() || row[key].is_null());
}

/// Returns whether the row's difference, if it is known, has its interval.
bool has_interval(const Json& row, const std::string& difference) {
  if (!row[difference].is_number()) return true;
  return is_figure(row, difference + "_low") && row[difference + "_low"].is_number() &&
         is_figure(row, difference + "_high") && row[difference + "_high"].is_number();
}

/// Returns whether a row of a summary's table is as pipeline_summary makes it.
bool is_table_row(const Json& row) {
  if (!row.is_object()) return false;
  const auto text = [&](const char* key) { return is_text(row, key); };
  const auto figure = [&](const char* key) { return is_figure(row, key); };
  constexpr std::array texts = {"key", "name", "labels"};
  constexpr std::array figures = {"P@1",
                                  "P@1_error",
                                  "P@5",
                                  "P@5_error",
                                  "R@10",
                                  "R@10_error",
                                  "lead",
                                  "flops_per_image",
                                  "training_flops",
                                  "parameters",
                                  "training_seconds"};
  return std::ranges::all_of(texts, text) && std::ranges::all_of(figures, figure) &&
         has_interval(row, "lead") &&
         (!row.contains("over") || (is_figure(row, "gain") && has_interval(row, "gain")));
}

/// Returns whether OUT/summary.json is whole and tells of just these evaluations, so that its
/// intervals need not be computed again.
bool is_summary_of(const Json& summary, const Pipeline& pipeline) {
  if (!summary.is_object() || !summary.contains("evaluations") || !summary.contains("table")) {
    return false;
  }
  const Json& evaluations = summary["evaluations"];
  if (!evaluations.is_array() || evaluations.size() != pipeline.rows.size()) return false;
  if (!std::ranges::all_of(evaluations, &Json::is_object)) return false;
  const Json& table = summary["table"];
  if (!table.is_array() || !std::ranges::all_of(table, is_table_row)) return false;
  for (size_t i = 0; i < pipeline.rows.size(); ++i) {
    const RunRow& row = pipeline.rows[i];
    const Json& found = evaluations[i];
    if (found.value("key", Json()) != row.key || found.value("seed", Json()) != row.seed) {
      return false;
    }
    const Json results = stage_results(row.folder, "moe-eval");
    for (const auto& [key, value] : results.items()) {
      if (found.value(key, Json()) != value) return false;
    }
  }
  return true;
}

Json summary_of(const fs::path& folder, const Pipeline& pipeline) {
  const fs::path file = folder / "summary.json";
  if (path_exists(file)) {
    Json summary = read_json(file);
    if (is_summary_of(summary, pipeline)) return summary;
  }
  return pipeline_summary(pipeline);
}

/// Leaves the rows whose evaluation is done.
void keep_finished_rows(RunView& run) {
  std::erase_if(run.pipeline.rows,
                [&](const RunRow& row) { return run.done(row.evaluation) == nullptr; });
}

void open_dataset(const fs::path& named, RunView& run) {
  const fs::path folder = named.empty() ? fs::path(dataset_folder(run.config, run.folder)) : named;
  try {
    run.dataset = Dataset::open(folder);
  } catch (const Error& error) {
    if (!named.empty()) throw;
    run.no_dataset = error.what();
  }
}

/// Throws Error(usage) unless the base was trained on the data set.
void require_dataset_of_run(const RunView& run) {
  const RunStage* base = run.done("base");
  if (base == nullptr || !run.dataset) return;
  const Json trained_on = stage_inputs(base->folder, "moe-train-base").value("dataset", Json());
  if (trained_on == run.dataset->fingerprint()) return;
  fail_usage("{}: is not the data set that {} was trained on; give that one as --dataset",
             run.dataset->folder().string(), base->folder.string());
}

/// Returns the run's stages. Throws Error(usage) naming the folder if its configuration is none
/// that moe-run runs, such as a model's.
Pipeline planned(const Config& config, const fs::path& folder, const fs::path& file) {
  try {
    return plan_pipeline(config, folder, {}, file, false);
  } catch (const Error& error) {
    fail_usage("{}: is no run of moe-run, judging by its config.yaml: {}", folder.string(),
               error.what());
  }
}

RunView open_run(const fs::path& folder, const fs::path& dataset) {
  const fs::path file = folder / "config.yaml", record = folder / "stage.json";
  if (is_file(record)) {
    const Json stage = read_stage_record(record);
    fail_usage("{}: was written by {}; a report is of what moe-run or moe-train-sparse wrote",
               folder.string(), json_get<std::string>(stage, "command", record.string()));
  }
  if (!is_folder(folder) || !is_file(file)) {
    fail_usage(
        "{}: is no run, as it has no config.yaml; give the folder that moe-run wrote (its --out)",
        folder.string());
  }
  RunView run;
  run.folder = folder;
  load_yaml(file, fields_of(run.config));
  run.pipeline = planned(run.config, folder, file);
  run.stages = status_of(run.pipeline.stages);
  if (run.stages_done() == 0) {
    const bool of_run = path_exists(folder / "logs") || path_exists(folder / "planned.yaml");
    fail_usage("{}: {}", folder.string(),
               of_run ? "none of this run's stages is done yet, so that there is nothing to "
                        "report; let moe-run go on first"
                      : "is no run of moe-run: none of the stages of its config.yaml is there");
  }
  keep_finished_rows(run);
  run.summary = summary_of(folder, run.pipeline);
  open_dataset(dataset, run);
  require_dataset_of_run(run);
  if (const RunStage* stage = run.done("partition")) run.partition = load_partition(stage->folder);
  return run;
}

}  // namespace

const RunStage* RunView::done(const std::string& stage) const {
  for (size_t i = 0; i < stages.size(); ++i) {
    if (stages[i].name == stage && stages[i].state == StageState::done) return &pipeline.stages[i];
  }
  return nullptr;
}

std::optional<fs::path> RunView::evaluation(const std::string& key) const {
  for (const RunRow& row : pipeline.rows) {
    if (row.key == key && row.seed == config.seed) return row.folder;
  }
  return std::nullopt;
}

fs::path RunView::finished_experts() const {
  fs::path experts;
  for (int k = 0; k < config.partition.experts; ++k) {
    const RunStage* stage = done("expert " + std::to_string(k));
    if (stage == nullptr) return {};
    experts = stage->folder.parent_path();
  }
  return experts;
}

bool RunView::has_labels(const std::string& labels) const {
  return std::ranges::any_of(summary["table"],
                             [&](const Json& row) { return row["labels"] == labels; });
}

int64_t RunView::stages_done() const {
  return std::ranges::count(stages, StageState::done, &StageStatus::state);
}

std::vector<RunView> open_runs(const std::vector<fs::path>& folders, const fs::path& dataset) {
  std::set<PathIdentity> seen;
  std::vector<RunView> runs;
  for (const fs::path& folder : folders) {
    if (const auto identity = path_identity(folder); identity && !seen.insert(*identity).second) {
      fail_usage("{}: is named twice; name each run once", folder.string());
    }
    runs.push_back(open_run(plain(folder), dataset));
  }
  for (RunView& run : runs) {
    const auto same = [&](const RunView& other) {
      return other.folder.filename() == run.folder.filename();
    };
    const bool unique = std::ranges::count_if(runs, same) == 1;
    run.name = unique && run.folder.has_filename() && run.folder.filename() != "."
                   ? run.folder.filename().string()
                   : run.folder.string();
  }
  return runs;
}

}  // namespace hardmoe
