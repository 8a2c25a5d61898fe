#include "run/launcher.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/folders.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/stage.h"
#include "run/log_warnings.h"
#include "run/part_images.h"
#include "run/stage_messages.h"
#include "run/stage_progress.h"
#include "run/stage_record.h"

namespace hardmoe {
namespace {

constexpr double look_seconds = 0.1;       // between looks at what the stages say
constexpr double elsewhere_seconds = 0.5;  // between looks at what other processes write

/// A stage in a process of its own.
class Child {
 public:
  Child(const RunStage& stage, size_t number)
      : number_(number),
        log_(stage.process.log),
        log_begin_(path_exists(log_) ? file_size_of(log_) : 0),
        warnings_(stage.process.name, stage.process.log),
        record_(stage) {
    pid_ = start_process(stage.process, messages_.writing_end());
    messages_.started();
  }

  pid_t pid() const { return pid_; }
  size_t number() const { return number_; }
  const StageMessages& messages() const { return messages_; }
  /// Returns what it said last: of its failure, or else in its log.
  std::string last_word() const {
    return messages_.failure().empty() ? last_message(log_, log_begin_) : messages_.failure();
  }

  /// Takes what it has said since the last call.
  void listen(bool ended) {
    warnings_.repeat(ended);
    messages_.read();
    if (!ended && messages_.locked().empty()) record_.beat(messages_.progress());
  }
  /// Records how it ended, and why, if it failed.
  void record_end(const std::string& state, const std::string& error) { record_.end(state, error); }
  ProcessResult result(int status) const {
    const int signal = WIFEXITED(status) ? 0 : WTERMSIG(status);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + signal, signal, now_seconds() - start_};
  }

 private:
  size_t number_;  // of the stage
  std::filesystem::path log_;
  size_t log_begin_;  // bytes of earlier processes
  LogWarnings warnings_;
  StageRecord record_;
  StageMessages messages_;
  double start_ = now_seconds();
  pid_t pid_ = -1;
};

/// One run of a graph.
class Launch {
 public:
  using Finished = std::function<void(const RunStage&, const ProcessResult&)>;

  Launch(const std::vector<RunStage>& stages, const LaunchOptions& options,
         const Finished& finished)
      : stages_(stages),
        options_(options),
        finished_(finished),
        schedule_(stages, options.parallel) {}

  void run() {
    while (!schedule_.all_done()) {
      pass_signal_on();
      start_again();
      look_elsewhere();
      if (start_next()) continue;
      if (running_.empty() && waiting_.empty() && (elsewhere_.empty() || !may_start())) break;
      if (!wait_for_one()) {
        listen();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    }
    if (!failures_.empty()) throw_failures();
    if (stopped_)
      throw Error("interrupted; run the same command again to resume", ExitStatus::interrupted);
    throw_if_interrupted();
  }

 private:
  bool may_start() const {
    return (failures_.empty() || options_.keep_going) && !stopped_ && !interrupted();
  }

  void pass_signal_on() {
    if (!interrupted() || told_) return;
    told_ = true;
    for (const auto& [pid, child] : running_) ::kill(pid, SIGTERM);
  }

  void start(size_t number) {
    Child child(stages_[number], number);
    running_.emplace(child.pid(), std::move(child));
  }

  bool start_next() {
    if (!may_start()) return false;
    const auto next = schedule_.next([this](const RunStage& stage) { return images_.of(stage); });
    if (!next) return false;
    const std::string holder = holder_of(*next);
    if (!holder.empty()) {
      leave_to(holder, *next);
      return true;
    }
    start(*next);
    schedule_.start(*next);
    return true;
  }

  std::string holder_of(size_t number) const {
    const auto& folder = stages_[number].folder;
    return folder.empty() ? "" : lock_holder(folder / stage_lock_name);
  }

  /// Leaves the stage to another process, which writes it, until that ends.
  void leave_to(const std::string& holder, size_t number) {
    log_info("{} is being written by {}; waiting until it ends", stages_[number].folder.string(),
             holder);
    schedule_.set_aside(number);
    elsewhere_[number] = now_seconds();
  }

  /// Takes back what no other process writes any more: its command finds out whether it is done.
  void look_elsewhere() {
    for (auto one = elsewhere_.begin(); one != elsewhere_.end();) {
      auto& [number, looked] = *one;
      const bool due = now_seconds() - looked > elsewhere_seconds;
      if (due) looked = now_seconds();
      if (due && holder_of(number).empty()) {
        schedule_.put_back(number);
        one = elsewhere_.erase(one);
      } else {
        ++one;
      }
    }
  }

  /// Starts what failed and has waited long enough; its place in the schedule was kept.
  void start_again() {
    for (auto one = waiting_.begin(); one != waiting_.end();) {
      const bool given_up = !may_start();
      if (!given_up && now_seconds() < one->second.until) {
        ++one;
        continue;
      }
      const auto [number, retry] = *one;
      one = waiting_.erase(one);
      if (!given_up) {
        start(number);
      } else if (stopped_ || interrupted()) {  // the next run tries it again
        stopped_ = true;
        schedule_.end(number, false);
      } else {
        fail_at(number, retry.failure);
      }
    }
  }

  void listen() {
    if (now_seconds() - looked_ <= look_seconds) return;
    looked_ = now_seconds();
    std::vector<RunningStage> running;
    for (auto& [pid, child] : running_) {
      child.listen(false);
      running.emplace_back(stages_[child.number()].process.name, child.messages().progress());
    }
    std::ranges::sort(running, {}, &RunningStage::first);
    progress_.update(ended_, stages_.size(), running);
  }

  /// Returns whether a child had ended.
  bool wait_for_one() {
    int status = 0;
    const auto child = running_.find(::waitpid(-1, &status, WNOHANG));
    if (child == running_.end()) return false;
    child->second.listen(true);
    const ProcessResult result = child->second.result(status);
    const size_t number = child->second.number();
    const std::string said = result.exit_status == 0 ? "" : child->second.last_word();
    const bool lost_race = result.exit_status != 0 && is_own_lock(number, child->second);
    if (!lost_race) {
      const bool paused = is_interrupted(result);
      child->second.record_end(said.empty() ? "done"
                               : paused     ? "interrupted"
                                            : "failed",
                               paused ? "" : said);
    }
    running_.erase(child);
    if (lost_race) {
      leave_to("another process", number);
    } else {
      end(number, result, said);
    }
    return true;
  }

  /// Returns whether the stage's process failed for another that was sooner to lock its folder.
  bool is_own_lock(size_t number, const Child& child) const {
    const auto& folder = stages_[number].folder;
    return !folder.empty() && child.messages().locked() == folder / stage_lock_name;
  }

  bool is_interrupted(const ProcessResult& result) const {
    // A child that got the signal before it had installed its handlers dies of it.
    const bool stopped_by_us = told_ && result.signal == SIGTERM;
    return stopped_by_us || result.exit_status == static_cast<int>(ExitStatus::interrupted);
  }

  void end(size_t number, const ProcessResult& result, const std::string& said) {
    if (is_interrupted(result)) {
      stopped_ = true;
      return schedule_.end(number, false);
    }
    if (result.exit_status == 0) {
      ++ended_;
      schedule_.end(number, true);
      return finished_(stages_[number], result);
    }
    const StageFailure failure{&stages_[number].process, result, said};
    if (try_again(number, failure)) return;
    if (options_.keep_going) log_warning("{}", failure_text({failure}, 0));
    fail_at(number, failure);
  }

  void fail_at(size_t number, const StageFailure& failure) {
    schedule_.end(number, false);
    failures_.push_back(failure);
  }

  /// Returns whether the stage is to be started again after a while, and says so.
  bool try_again(size_t number, const StageFailure& failure) {
    int& tried = tried_[number];
    const bool wrong_use = failure.result.exit_status == static_cast<int>(ExitStatus::usage);
    if (wrong_use || tried >= options_.retries || !may_start()) return false;
    const double wait = std::min(60.0, options_.retry_seconds * std::exp2(tried));
    ++tried;
    log_warning("{}; started again in {:g} s (retry {} of {})", failure_text({failure}, 0), wait,
                tried, options_.retries);
    waiting_.emplace(number, Retry{failure, now_seconds() + wait});
    return true;
  }

  [[noreturn]] void throw_failures() const {
    const bool usage = failures_[0].result.exit_status == static_cast<int>(ExitStatus::usage);
    const size_t not_begun = stages_.size() - ended_ - failures_.size();
    throw Error(failure_text(failures_, options_.keep_going ? not_begun : 0),
                usage ? ExitStatus::usage : ExitStatus::failed);
  }

  const std::vector<RunStage>& stages_;
  LaunchOptions options_;
  const Finished& finished_;
  Schedule schedule_;
  PartImages images_;
  StageProgress progress_;
  std::map<pid_t, Child> running_;
  struct Retry {
    StageFailure failure;  // for which it is started again
    double until;          // it waits
  };
  std::map<size_t, Retry> waiting_;     // stages to start again
  std::map<size_t, int> tried_;         // retries of each stage
  std::map<size_t, double> elsewhere_;  // stages that others write, and when that was looked at
  std::vector<StageFailure> failures_;
  size_t ended_ = 0;      // stages that are done
  bool stopped_ = false;  // a child was interrupted
  bool told_ = false;     // the children were
  double looked_ = 0;
};

}  // namespace

void run_stages(const std::vector<RunStage>& stages, const LaunchOptions& options,
                const std::function<void(const RunStage&, const ProcessResult&)>& finished) {
  Launch(stages, options, finished).run();
}

void run_process(const ProcessSpec& process) {
  run_stages({{.process = process}}, {}, [](const auto&, const auto&) {});
}

}  // namespace hardmoe
