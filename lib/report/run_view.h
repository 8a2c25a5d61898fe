// A run folder of moe-run as a report reads it: what was planned, how far it is, and what its
// finished stages found. Nothing here computes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/dataset.h"
#include "moe/partition.h"
#include "run/pipeline.h"
#include "run/status.h"

namespace hardmoe {

/// A run, finished or not.
struct RunView {
  std::filesystem::path folder;
  std::string name;  ///< for people: the folder's, or its whole path where two are called the same
  Config config;
  Pipeline pipeline;                ///< all stages, and the rows whose evaluations are done
  std::vector<StageStatus> stages;  ///< of all planned
  Json summary;                     ///< pipeline_summary() of these rows
  std::optional<Dataset> dataset;
  std::string no_dataset;              ///< why there is none
  std::optional<Partition> partition;  ///< the mixture's, of the first seed

  /// Returns the stage of that name, if it is planned and done.
  const RunStage* done(const std::string& stage) const;
  /// Returns the evaluation's folder of the row with that key of the first seed, if it is done.
  std::optional<std::filesystem::path> evaluation(const std::string& key) const;
  /// Returns the experts' folder of the mixture if all of them are done; else "".
  std::filesystem::path finished_experts() const;
  /// Returns whether the evaluations have metrics against these labels: "tags" or "truth".
  bool has_labels(const std::string& labels) const;
  /// Returns how many stages are done.
  int64_t stages_done() const;
};

/// Opens the runs, in the order given. `dataset`: the folder of the data set of all of them; empty:
/// where each run's configuration has it. Throws Error(usage) for a folder that is no run of
/// moe-run, one of which no stage is done, or one that is named twice.
std::vector<RunView> open_runs(const std::vector<std::filesystem::path>& folders,
                               const std::filesystem::path& dataset);

}  // namespace hardmoe
