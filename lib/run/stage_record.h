// What becomes of a stage, for people who look at a run (run/run_status.h): OUT/logs/NAME.json, written
// by the launcher that runs it, soon after the beginning, now and then, and at the end. Nothing but
// that look depends on it: whether a stage is done, its stage.json says.
//
//   {"attempts": 2, "where": "process 7 on HOST, Slurm job 12_3", "device": "cuda:0",
//    "state": "running" | "interrupted" | "failed" | "done", "error": "…", "progress": {…}}
#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"
#include "run/stage_graph.h"

namespace hardmoe {

/// Returns the file about a stage.
std::filesystem::path record_file(const RunStage& stage);

/// Keeps the record of a stage that this process runs.
class StageRecord {
 public:
  /// Considers an attempt that begins now. Nothing is written yet: perhaps another process is sooner
  /// to lock the stage. A stage that is done already is no attempt, and one without a folder none
  /// either.
  explicit StageRecord(const RunStage& stage);

  /// Writes that the stage runs, and how far it is (null: not known), if that is due: a second after
  /// the beginning, then twice a minute. A record that cannot be written is no fault of the run.
  void beat(const Json& progress);
  /// Writes how the attempt ended: by which state, and with what error ("" keeps that of an earlier
  /// attempt). Of a stage that was done already only if the record did not say so yet: a launcher
  /// was killed before it could write it.
  void end(const std::string& state, const std::string& error);

 private:
  void write(const std::string& state);

  std::filesystem::path file_;  ///< empty: nothing is written
  bool done_before_ = false;
  Json record_;
  double due_;
};

}  // namespace hardmoe
