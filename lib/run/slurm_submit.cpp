#include "run/slurm_submit.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/text.h"
#include "run/child_process.h"
#include "run/slurm_queue.h"
#include "run/stage_selection.h"
#include "run/status.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

using Print = std::function<void(const std::string&)>;

/// Some of a script's stages as one job, or one array that Slurm takes.
struct Submission {
  const SlurmScript* script;
  std::vector<size_t> stages;
  std::vector<int> tasks = {};  ///< of an array
  int first = 0;                ///< is added to the tasks' numbers

  /// Returns the option and the argument that make tasks of it.
  std::vector<std::string> options() const {
    return script->is_array ? std::vector{"--array=" + array_text(tasks)}
                            : std::vector<std::string>();
  }
  std::vector<std::string> arguments() const {
    return first > 0 ? std::vector{std::to_string(first)} : std::vector<std::string>();
  }
  /// Returns the job of its i-th stage.
  std::string job_of(const std::string& job, size_t i) const {
    return script->is_array ? fmt::format("{}_{}", job, tasks[i]) : job;
  }
};

/// Returns the wanted ones of a script's stages, an array cut where a task's number would be
/// `array_size` or more.
std::vector<Submission> submissions_of(const SlurmScript& script,
                                       const std::vector<RunStage>& stages,
                                       const std::set<size_t>& wanted, int array_size) {
  std::vector<Submission> found;
  for (const size_t number : script.stages) {
    if (!wanted.contains(number)) continue;
    const int part = std::max(stages[number].part, 0), first = part / array_size * array_size;
    if (found.empty() || found.back().first != first) {
      found.push_back({.script = &script, .stages = {}, .first = first});
    }
    found.back().stages.push_back(number);
    if (script.is_array) found.back().tasks.push_back(part - first);
  }
  return found;
}

/// Submits the stages of a run that are to be.
class Submitter {
 public:
  Submitter(const std::vector<RunStage>& stages, const SlurmRun& run)
      : stages_(stages), states_(status_of(stages)), queue_(run.out) {}

  /// Decides which of the selected stages are submitted, and what is taken out of the queue to be
  /// submitted anew.
  std::set<size_t> choose(const std::vector<size_t>& selected) {
    std::set<size_t> wanted;
    for (const size_t number : selected) {
      if (!is_done(number) && job_of(number).empty()) wanted.insert(number);
    }
    std::vector<std::string> replaced;
    for (const size_t number : with_dependents(stages_, {wanted.begin(), wanted.end()})) {
      if (job_of(number).empty() || queue_.is_running(name(number))) continue;
      replaced.push_back(job_of(number));
      wanted.insert(number);
    }
    require_needs(wanted);
    cancel_jobs(replaced);
    return wanted;
  }

  void submit(const Submission& submission, const Print& print) {
    std::vector<std::string> options = submission.options();
    const std::string after = jobs_before(submission);
    if (!after.empty()) options.push_back("--dependency=afterany:" + after);
    const std::string job = submit_script(options, submission.script->file, submission.arguments());
    submitted_.push_back(job);
    std::map<std::string, std::string> jobs;
    for (size_t i = 0; i < submission.stages.size(); ++i) {
      jobs[name(submission.stages[i])] = submission.job_of(job, i);
    }
    queue_.add(jobs);
    print(fmt::format("{}\t{}{}\n", job, submission.script->name,
                      submission.stages.size() > 1 || submission.script->is_array
                          ? fmt::format(" ({})", submission.stages.size())
                          : ""));
  }

  /// Takes back what was submitted.
  void take_back() { cancel_jobs(submitted_); }

 private:
  const std::string& name(size_t number) const { return stages_[number].process.name; }
  bool is_done(size_t number) const { return states_[number].state == StageState::done; }
  std::string job_of(size_t number) const { return queue_.job_of(name(number)); }

  /// Throws Error(usage) if a wanted stage needs what will not be there.
  void require_needs(const std::set<size_t>& wanted) const {
    std::set<std::string> coming, missing;
    for (size_t i = 0; i < stages_.size(); ++i) {
      if (is_done(i) || wanted.contains(i) || !job_of(i).empty()) coming.insert(name(i));
    }
    for (const size_t number : wanted) {
      for (const auto& need : stages_[number].after) {
        if (!coming.contains(need)) missing.insert(need);
      }
    }
    if (missing.empty()) return;
    fail_usage(
        "the selected stages need what is neither done nor in Slurm's queue:{}\n  select it, too",
        indented_list({missing.begin(), missing.end()}));
  }

  /// Returns the jobs, as --dependency takes them, of what the stages need and is not done.
  std::string jobs_before(const Submission& submission) const {
    std::set<std::string> needs, jobs;
    for (const size_t number : submission.stages) {
      needs.insert(stages_[number].after.begin(), stages_[number].after.end());
    }
    for (size_t i = 0; i < stages_.size(); ++i) {
      if (!needs.contains(name(i)) || is_done(i)) continue;
      const std::string job = job_of(i);
      jobs.insert(job.substr(0, job.find('_')));
    }
    return join({jobs.begin(), jobs.end()}, ":");
  }

  const std::vector<RunStage>& stages_;
  std::vector<StageStatus> states_;
  SlurmQueue queue_;
  std::vector<std::string> submitted_;
};

}  // namespace

void submit_run(const std::vector<RunStage>& stages, const std::vector<size_t>& selected,
                const Config& config, const SlurmRun& run, const Print& print) {
  const int array_size = max_array_size();
  make_writable_folder(run.out / "slurm");
  const FileLock lock(run.out / "slurm/.lock", (run.out / "slurm").string());
  Submitter submitter(stages, run);
  const auto wanted = submitter.choose(selected);
  const auto scripts = slurm_scripts(stages, config, run);
  try {
    for (const SlurmScript& script : scripts) {
      for (const Submission& one : submissions_of(script, stages, wanted, array_size)) {
        write_file_atomic(script.file, script.text);
        submitter.submit(one, print);
      }
    }
  } catch (const Error&) {
    submitter.take_back();
    throw;
  }
}

void print_slurm_plan(const std::vector<RunStage>& stages, const std::vector<size_t>& selected,
                      const Config& config, const SlurmRun& run, const Print& print) {
  constexpr int usual_array_size = 1001;
  for (const SlurmScript& script : slurm_scripts(stages, config, run)) {
    const auto submissions =
        submissions_of(script, stages, {selected.begin(), selected.end()}, usual_array_size);
    for (const Submission& one : submissions) {
      std::vector<std::string> words = {"sbatch"};
      const auto options = one.options(), arguments = one.arguments();
      words.insert(words.end(), options.begin(), options.end());
      words.push_back(script.file);
      words.insert(words.end(), arguments.begin(), arguments.end());
      print("# " + shell_line(words) + "\n");
    }
    if (!submissions.empty()) print(script.text + "\n");
  }
}

void cancel_run(const fs::path& out, const Print& print) {
  require_slurm();
  const auto jobs = SlurmQueue(out).jobs();
  cancel_jobs(jobs);
  print(fmt::format("{} jobs ended\n", jobs.size()));
}

}  // namespace hardmoe
