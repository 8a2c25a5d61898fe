// The jobs of a run in Slurm's queue: what was submitted is in OUT/slurm/jobs.json, what became of it
// Slurm says.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace hardmoe {

/// Throws Error(usage) if this machine has no Slurm.
void require_slurm();

/// Returns the greatest number that an array's task may have, and one more.
int max_array_size();

/// Submits a script and returns its job's number. `options`: of sbatch, before the script;
/// `arguments`: of the script. Throws Error with Slurm's reason.
std::string submit_script(const std::vector<std::string>& options,
                          const std::filesystem::path& script,
                          const std::vector<std::string>& arguments);

/// Ends jobs, or tasks of arrays ("12_3"), waiting or running.
void cancel_jobs(const std::vector<std::string>& jobs);

/// The jobs of one run.
class SlurmQueue {
 public:
  /// Reads what was submitted for the run and what Slurm says of it. Throws Error with Slurm's
  /// reason.
  explicit SlurmQueue(const std::filesystem::path& out);

  /// Returns the job that is to run the stage and has not ended, "12" or "12_3"; "" if none is.
  std::string job_of(const std::string& stage) const;
  /// Returns whether that job has begun.
  bool is_running(const std::string& stage) const;
  /// Returns the jobs that have not ended.
  std::vector<std::string> jobs() const;

  /// Notes a stage's job and writes the record.
  void add(const std::map<std::string, std::string>& job_of_stage);

 private:
  std::filesystem::path record_;
  std::map<std::string, std::string> job_of_;    ///< by stage: the last one
  std::map<std::string, std::string> state_of_;  ///< by job, of those in the queue
};

}  // namespace hardmoe
