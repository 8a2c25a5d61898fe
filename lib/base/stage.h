// A stage: one folder, written by one command, done when its stage.json says so with the same
// inputs. The command run again skips a done stage, resumes an unfinished one, and refuses changed
// inputs unless forced. Not for ordering stages: each names the stages it read (see lib/run).
//
//   stage.json  {"format", "command", "version", "inputs": {…}, "done",
//                "outputs": {name: sha256}, "crc32c": {name: …}, "results": {…}, "seconds",
//                "warnings": […]}; unfinished, perhaps "kept": {name: sha256}, or
//                "clearing": [names of] what --force is removing
//
// A file of another stage is read through base/recorded.h, which compares it with that.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"

namespace hardmoe {

class Stage {
 public:
  struct Options {
    std::filesystem::path folder;
    std::string command;  ///< "moe-train-base"
    Json inputs;         ///< fingerprints of what it reads and every setting that shapes its result
    bool force = false;  ///< start anew where the inputs differ
    std::vector<std::filesystem::path> reads = {};  ///< may not lie in the folder; empty ones: none
    /// What it writes besides what a record of an earlier run lists: paths in the folder, * for any
    /// part of a name ("train/*.npy"). Only such files are ever removed.
    std::vector<std::string> writes = {};
  };

  /// Locks the folder. Throws Error(usage) for one that holds what is read, and Error naming what
  /// changed if an earlier run had other inputs, unless forced: then what that run wrote is
  /// removed, and the stage begins from nothing, also where it is killed in the middle of that and
  /// run again. Another command's result, and what it does not know, is refused in any case. What a
  /// finished run warned of is warned of again.
  explicit Stage(Options options);

  /// A finished run with the same inputs is here: nothing is left to do.
  bool done() const { return done_; }
  /// What the finished run reported (empty unless done).
  const Json& results() const { return results_; }
  const std::filesystem::path& folder() const { return options_.folder; }

  /// SHA-256 of the inputs: what is resumed from says it, so that no other run's is.
  std::string identity() const;

  /// Makes a done stage an unfinished one, for a command that adds to what it made.
  void reopen();

  /// Remembers a file of the folder that is as it stays, so that it is not made again after an
  /// interruption.
  void keep(const std::string& name);
  /// Whether that file was kept, and is as it was then; warns where it is not.
  bool has_kept(const std::string& name) const;

  /// Marks the stage done: hashes `outputs` (names in the folder) and writes stage.json.
  void finish(const std::vector<std::string>& outputs, Json results);

 private:
  void continue_from(const Json& record);
  void begin_anew(const Json& before);
  void begin_without_record();
  void write_unfinished(const Json& clearing = nullptr) const;

  Options options_;
  bool was_locked_;  ///< a stage was begun here before
  FileLock lock_;
  Json kept_ = Json::object();
  bool done_ = false;
  Json results_ = Json::object();
  double start_seconds_;
};

/// The identity of a finished stage's outputs, for the inputs of the next. Throws Error if the
/// folder holds no finished stage: "X is not finished; run `COMMAND` first".
std::string stage_fingerprint(const std::filesystem::path& folder, const std::string& command);

/// The inputs of a finished stage. Throws as stage_fingerprint does.
Json stage_inputs(const std::filesystem::path& folder, const std::string& command);

/// The results a finished stage reported. Throws as stage_fingerprint does.
Json stage_results(const std::filesystem::path& folder, const std::string& command);

}  // namespace hardmoe
