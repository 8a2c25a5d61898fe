// A stage: one folder, written by one command, done once its stage.json says so for the same
// inputs. Running the command again skips a finished stage, resumes an unfinished one, and refuses
// changed inputs unless forced. Does not order stages: each names the stages it read (see lib/run).
//
//   stage.json  {"format", "command", "version", "inputs": {…}, "done",
//                "outputs": {name: sha256}, "crc32c": {name: …}, "results": {…}, "seconds",
//                "machine", "warnings": […]}; while unfinished perhaps "kept": {name: sha256}, or
//                "clearing": [names] that --force is removing
//
// Another stage's files are read through base/recorded.h, which compares them with that record.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/file_lock.h"
#include "base/files.h"
#include "base/json.h"

namespace hardmoe {

/// The file in a stage's folder that the process that writes it has locked.
inline constexpr const char* stage_lock_name = ".lock";

/// What a stage that is interrupted goes on from, of those whose `writes` name it; a finished one needs
/// none.
inline constexpr const char* checkpoint_files = "checkpoint*.safetensors";

/// A folder locked for one command's work.
class Stage {
 public:
  struct Options {
    std::filesystem::path folder;
    std::string command;  ///< such as "moe-train-base"
    Json inputs;  ///< fingerprints of what it reads, and every setting that shapes its result
    bool force = false;                             ///< begin anew if the inputs differ
    std::vector<std::filesystem::path> reads = {};  ///< must not lie in the folder; "" is ignored
    /// What the command writes, besides what an earlier run's record lists: paths in the folder,
    /// with * for any part of a name ("train/*.npy"). Only such files are ever removed.
    std::vector<std::string> writes = {};
  };

  /// Locks the folder and decides whether to skip, resume or begin. If forced and the inputs have
  /// changed, what the earlier run wrote is removed and the stage begins anew, even if it is killed
  /// meanwhile and run again. Warnings of a finished run are repeated. Throws Error if another
  /// process holds the lock, or if an output of a finished run is missing; Error(usage) if the
  /// folder contains something that is read, another command's result or, when the stage begins,
  /// unknown files; and, unless forced, Error(usage) naming the changed inputs of an earlier run.
  explicit Stage(Options options);

  /// Returns whether a finished run with the same inputs is here, so nothing is left to do.
  bool done() const { return done_; }
  /// Returns what the finished run reported; empty unless done().
  const Json& results() const { return results_; }
  const std::filesystem::path& folder() const { return options_.folder; }

  /// Returns the SHA-256 of the inputs. Checkpoints record it, so that no other run resumes from
  /// them.
  std::string identity() const;

  /// Makes a finished stage unfinished, for a command that adds to its own result.
  void reopen();

  /// Records a file of the folder as final, so that it is not made again after an interruption.
  void keep(const std::string& name);
  /// Returns whether that file was kept and is unchanged; warns if it has changed.
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

/// Returns the fingerprint of a finished stage's outputs, for the inputs of the next. Throws
/// Error(usage) if the folder holds no stage or another command's; Error if it is not finished.
std::string stage_fingerprint(const std::filesystem::path& folder, const std::string& command);

/// Returns the inputs of a finished stage. Throws as stage_fingerprint does.
Json stage_inputs(const std::filesystem::path& folder, const std::string& command);

/// Returns the results of a finished stage. Throws as stage_fingerprint does.
Json stage_results(const std::filesystem::path& folder, const std::string& command);

}  // namespace hardmoe
