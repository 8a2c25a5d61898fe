#include "run/stage_graph.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace hardmoe {
namespace {

const std::string& name_of(const RunStage& stage) { return stage.process.name; }

bool is_after(const RunStage& stage, const std::set<std::string>& done) {
  return std::ranges::all_of(stage.after, [&](const auto& name) { return done.contains(name); });
}

}  // namespace

void check_graph(const std::vector<RunStage>& stages) { static_cast<void>(order_of(stages)); }

std::vector<size_t> order_of(const std::vector<RunStage>& stages) {
  std::set<std::string> names, done;
  for (const RunStage& stage : stages) {
    if (!names.insert(name_of(stage)).second) fail("two stages are called '{}'", name_of(stage));
  }
  for (const RunStage& stage : stages) {
    for (const auto& name : stage.after) {
      if (names.contains(name)) continue;
      fail("stage '{}' is after '{}', which is no stage; there are {}", name_of(stage), name,
           join({names.begin(), names.end()}, ", "));
    }
  }
  std::vector<size_t> order;
  std::set<size_t> left;
  for (size_t i = 0; i < stages.size(); ++i) left.insert(i);
  while (!left.empty()) {
    const auto next =
        std::ranges::find_if(left, [&](size_t i) { return is_after(stages[i], done); });
    if (next == left.end()) {
      std::vector<std::string> waiting;
      for (const size_t i : left) {
        waiting.push_back(
            fmt::format("'{}' is after {}", name_of(stages[i]), join(stages[i].after, ", ")));
      }
      fail("stages wait for one another:{}", indented_list(waiting));
    }
    done.insert(name_of(stages[*next]));
    order.push_back(*next);
    left.erase(next);
  }
  return order;
}

std::vector<size_t> stages_before(const std::vector<RunStage>& stages, const std::string& name) {
  const auto number_of = [&](const std::string& wanted) {
    const auto found = std::ranges::find(stages, wanted, name_of);
    if (found == stages.end()) fail("there is no stage '{}'", wanted);
    return static_cast<size_t>(found - stages.begin());
  };
  std::set<size_t> before;
  std::vector<size_t> open = {number_of(name)};
  while (!open.empty()) {
    const RunStage& stage = stages[open.back()];
    open.pop_back();
    for (const auto& earlier : stage.after) {
      const size_t number = number_of(earlier);
      if (before.insert(number).second) open.push_back(number);
    }
  }
  return {before.begin(), before.end()};
}

Schedule::Schedule(const std::vector<RunStage>& stages, int parallel)
    : stages_(stages), parallel_(static_cast<size_t>(std::max(parallel, 1))) {
  check_graph(stages);
}

bool Schedule::may_start(const RunStage& stage) const {
  if (!is_after(stage, done_)) return false;
  if (stage.alone) return running_.empty();
  if (running_.size() >= parallel_) return false;
  return std::ranges::none_of(running_, [&](size_t i) {
    const int lane = stages_[i].process.lane;
    return stages_[i].alone || (lane >= 0 && lane == stage.process.lane);
  });
}

std::optional<size_t> Schedule::next(const Weight& weight) const {
  std::optional<size_t> best;
  int64_t heaviest = 0;
  for (size_t i = 0; i < stages_.size(); ++i) {
    if (started_.contains(i) || !may_start(stages_[i])) continue;
    if (!weight || stages_[i].part < 0) return best ? best : std::optional(i);
    const int64_t found = weight(stages_[i]);
    if (best && found <= heaviest) continue;
    best = i;
    heaviest = found;
  }
  return best;
}

void Schedule::start(size_t stage) {
  started_.insert(stage);
  running_.insert(stage);
}

void Schedule::end(size_t stage, bool done) {
  running_.erase(stage);
  if (done) done_.insert(name_of(stages_[stage]));
}

void Schedule::set_aside(size_t stage) {
  started_.insert(stage);
  running_.erase(stage);
}

void Schedule::put_back(size_t stage) { started_.erase(stage); }

}  // namespace hardmoe
