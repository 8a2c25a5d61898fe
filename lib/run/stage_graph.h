// The stages of a run as a graph: each names the stages that must be done before it. Does not know
// what a stage writes (base/stage.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "run/child_process.h"

namespace hardmoe {

/// A stage of a run.
struct RunStage {
  ProcessSpec process;                   ///< its name is the stage's and must be unique
  std::vector<std::string> after = {};   ///< names of the stages whose results it reads
  std::filesystem::path folder = {};     ///< of its results
  bool alone = false;                    ///< needs the whole machine: nothing runs beside it
  int part = -1;                         ///< of an expert: which part of its partition it learns
  std::filesystem::path partition = {};  ///< of an expert: the folder of its partition
};

/// Throws Error naming the stages if two have the same name, if one depends on a stage that is not
/// in the graph, or if stages depend on one another in a circle.
void check_graph(const std::vector<RunStage>& stages);

/// Returns the numbers of the stages in an order in which they can run one after another: each
/// after those it depends on, otherwise in the given order. Throws as check_graph does.
std::vector<size_t> order_of(const std::vector<RunStage>& stages);

/// Returns the numbers of the stages that must be done before the stage `name`, directly or because
/// others need them, ascending. Throws Error if there is no such stage.
std::vector<size_t> stages_before(const std::vector<RunStage>& stages, const std::string& name);

/// Decides which stage of a graph may start as others end.
class Schedule {
 public:
  /// `stages` must outlive the schedule. At most `parallel` run at a time. Throws as check_graph
  /// does.
  Schedule(const std::vector<RunStage>& stages, int parallel);

  /// How much work an expert is.
  using Weight = std::function<int64_t(const RunStage&)>;

  /// Returns the first stage that may start now: the stages it depends on are done, no stage of its
  /// lane runs, and fewer than `parallel` run. Of experts that follow one another, with a `weight`,
  /// the heaviest, so that none that is long begins last. A stage that needs the machine alone starts
  /// when none runs, and none starts beside it. Returns nothing if all have started, or if one must
  /// end first.
  std::optional<size_t> next(const Weight& weight = {}) const;
  /// Notes that a stage was started.
  void start(size_t stage);
  /// Notes that a stage ended. Unless it is done, the stages that depend on it never start.
  void end(size_t stage, bool done);
  /// Notes that another process runs the stage, whether or not it was started here: it may start
  /// when put back.
  void set_aside(size_t stage);
  void put_back(size_t stage);
  bool all_done() const { return done_.size() == stages_.size(); }

 private:
  bool may_start(const RunStage& stage) const;

  const std::vector<RunStage>& stages_;
  size_t parallel_;
  std::set<size_t> started_, running_;  // started: or set aside
  std::set<std::string> done_;
};

}  // namespace hardmoe
