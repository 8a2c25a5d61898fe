#include "run/slurm_queue.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/text.h"
#include "run/run_command.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Returns what Slurm said, without "sbatch: error: ".
std::string reason_in(const CommandResult& result) {
  std::vector<std::string> reasons;
  for (const auto& line : split(result.err, '\n')) {
    const size_t at = line.rfind("error: ");
    const std::string reason(trim(at == std::string::npos ? line : line.substr(at + 7)));
    if (!reason.empty()) reasons.push_back(reason);
  }
  return reasons.empty() ? fmt::format("exit status {}", result.exit_status) : join(reasons, "; ");
}

CommandResult slurm(const std::vector<std::string>& words) {
  CommandResult result = run_command(words);
  if (result.exit_status != 0) fail("`{}` failed: {}", words[0], reason_in(result));
  return result;
}

/// Returns the job of an array's task: "12" of "12_3".
std::string array_of(const std::string& job) { return job.substr(0, job.find('_')); }

}  // namespace

void require_slurm() {
  if (run_command({"sbatch", "--version"}).exit_status == 0) return;
  fail_usage(
      "--launcher slurm: there is no `sbatch` on this machine's PATH; run this where jobs are "
      "submitted, or leave --launcher out");
}

int max_array_size() {
  const std::string key = "MaxArraySize";
  for (const auto& line : split(slurm({"scontrol", "show", "config"}).out, '\n')) {
    if (!line.starts_with(key)) continue;
    const std::string text(trim(line.substr(line.find('=') + 1)));
    const bool number = !text.empty() && text.size() < 9 &&
                        text.find_first_not_of("0123456789") == std::string::npos;
    if (number && std::stoi(text) > 0) return std::stoi(text);
  }
  return 1001;  // Slurm's default
}

std::string submit_script(const std::vector<std::string>& options, const fs::path& script,
                          const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {"sbatch", "--parsable"};
  words.insert(words.end(), options.begin(), options.end());
  words.push_back(script);
  words.insert(words.end(), arguments.begin(), arguments.end());
  const CommandResult result = run_command(words);
  // "12", or "12;CLUSTER"
  std::string job(trim(result.out.substr(0, result.out.find(';'))));
  const bool number = !job.empty() && job.find_first_not_of("0123456789") == std::string::npos;
  if (result.exit_status == 0 && number) return job;
  fail("Slurm did not take {}: {}", script.string(), reason_in(result));
}

void cancel_jobs(const std::vector<std::string>& jobs) {
  if (jobs.empty()) return;
  std::vector<std::string> words = {"scancel"};
  words.insert(words.end(), jobs.begin(), jobs.end());
  slurm(words);
}

SlurmQueue::SlurmQueue(const fs::path& out) : record_(out / "slurm/jobs.json") {
  if (!path_exists(record_)) return;
  const auto stages = json_get<Json>(read_json(record_), "stages", record_.string());
  std::set<std::string> ours;
  for (const auto& [stage, job] : stages.items()) {
    if (!job.is_string()) fail("{}: expected a job for '{}'", record_.string(), stage);
    job_of_[stage] = job.get<std::string>();
    ours.insert(array_of(job_of_[stage]));
  }
  // Only ours are asked for, but Slurm refuses jobs that it has forgotten: those in the queue are
  // looked through.
  const std::string user = std::to_string(::getuid());
  const auto listed =
      slurm({"squeue", "--noheader", "--array", "--user=" + user, "--format=%i %T"});
  for (const auto& line : split(listed.out, '\n')) {
    const auto words = split(trim(line), ' ');
    if (words.size() == 2 && ours.contains(array_of(words[0]))) state_of_[words[0]] = words[1];
  }
}

std::string SlurmQueue::job_of(const std::string& stage) const {
  const auto job = job_of_.find(stage);
  return job != job_of_.end() && state_of_.contains(job->second) ? job->second : "";
}

bool SlurmQueue::is_running(const std::string& stage) const {
  const auto state = state_of_.find(job_of(stage));
  return state != state_of_.end() && state->second != "PENDING";
}

std::vector<std::string> SlurmQueue::jobs() const {
  std::vector<std::string> jobs;
  for (const auto& [job, state] : state_of_) jobs.push_back(job);
  return jobs;
}

void SlurmQueue::add(const std::map<std::string, std::string>& job_of_stage) {
  for (const auto& [stage, job] : job_of_stage) {
    job_of_[stage] = job;
    state_of_[job] = "PENDING";
  }
  Json stages = Json::object();
  for (const auto& [stage, job] : job_of_) stages[stage] = job;
  write_json(record_, {{"stages", std::move(stages)}});
}

}  // namespace hardmoe
