// The stages of a run as a graph: each names the stages that must be done before it. What each
// makes is its own command's business (base/stage.h).
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "run/child_process.h"

namespace hardmoe {

struct RunStage {
  ProcessSpec process;                  ///< its name is the stage's, and no other's
  std::vector<std::string> after = {};  ///< names of the stages that it reads the results of
  std::filesystem::path folder = {};    ///< where its result will be
  bool alone = false;                   ///< it takes the whole machine: nothing runs beside it
};

/// Throws Error naming the stages where a name is given twice, a stage is after one that is not in
/// the graph, or stages wait for one another in a circle.
void check_graph(const std::vector<RunStage>& stages);

/// The numbers of the stages in an order in which they can run one after another: each after those
/// it depends on, and otherwise as they stand. Throws as check_graph.
std::vector<size_t> order_of(const std::vector<RunStage>& stages);

/// Which stage of a graph may start, as others end.
class Schedule {
 public:
  /// `stages` must outlive it. At most `parallel` run at once. Throws as check_graph.
  Schedule(const std::vector<RunStage>& stages, int parallel);

  /// The first stage, as they stand, that may start now: what it depends on is done, no stage of
  /// its lane runs, and it is alone or has a place. None: all have started, or one must end first.
  std::optional<size_t> next() const;
  void start(size_t stage);
  /// Stages that depend on one that ended and is not done never start.
  void end(size_t stage, bool done);
  bool all_done() const { return done_.size() == stages_.size(); }

 private:
  bool may_start(const RunStage& stage) const;

  const std::vector<RunStage>& stages_;
  size_t parallel_;
  std::set<size_t> started_, running_;
  std::set<std::string> done_;
};

}  // namespace hardmoe
