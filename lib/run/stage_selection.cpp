#include "run/stage_selection.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/stage.h"
#include "base/text.h"
#include "run/status.h"

namespace hardmoe {
namespace {

bool is_named(const RunStage& stage, const std::string& name) {
  return stage.process.name == name || stage.process.name.starts_with(name + ' ');
}

/// Returns what a stage may be called by: its name, and the words that it begins with.
std::vector<std::string> names_of(const std::vector<RunStage>& stages) {
  std::vector<std::string> names;
  std::set<std::string> kinds;
  for (const RunStage& stage : stages) {
    const std::string& name = stage.process.name;
    names.push_back(name);
    for (size_t end = name.find(' '); end != std::string::npos; end = name.find(' ', end + 1)) {
      const std::string kind = name.substr(0, end);
      if (kinds.insert(kind).second) names.push_back(kind);
    }
  }
  return names;
}

std::set<size_t> named(const std::vector<RunStage>& stages, const std::string& name) {
  std::set<size_t> found;
  for (size_t i = 0; i < stages.size(); ++i) {
    if (is_named(stages[i], name)) found.insert(i);
  }
  if (!found.empty()) return found;
  const std::string nearest = nearest_name(name, names_of(stages));
  fail_usage("this run has no stage '{}'{}; --list names them", name,
             nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest));
}

/// Returns those of `numbers` and the stages that they need.
std::set<size_t> with_needs(const std::vector<RunStage>& stages, const std::set<size_t>& numbers) {
  std::set<size_t> all = numbers;
  for (const size_t number : numbers) {
    for (const size_t before : stages_before(stages, stages[number].process.name)) {
      all.insert(before);
    }
  }
  return all;
}

/// Returns the names of all that stages of these numbers need directly and that is not among them.
std::set<std::string> needs_outside(const std::vector<RunStage>& stages,
                                    const std::vector<size_t>& numbers) {
  std::set<std::string> needs, inside;
  for (const size_t number : numbers) inside.insert(stages[number].process.name);
  for (const size_t number : numbers) {
    for (const auto& name : stages[number].after) {
      if (!inside.contains(name)) needs.insert(name);
    }
  }
  return needs;
}

/// Returns "expert 3", or "expert 3 (being written by process 7 on HOST)".
std::string missing_text(const RunStage& stage) {
  const std::string holder = lock_holder(stage.folder / stage_lock_name);
  const std::string& name = stage.process.name;
  return holder.empty() ? name : fmt::format("{} (being written by {})", name, holder);
}

}  // namespace

std::vector<size_t> selected_stages(const std::vector<RunStage>& stages,
                                    const StageSelection& selection) {
  std::set<size_t> meant;
  for (const auto& name : selection.only) meant.merge(named(stages, name));
  for (size_t i = 0; selection.only.empty() && i < stages.size(); ++i) meant.insert(i);
  const auto keep = [&](const std::set<size_t>& kept) {
    std::erase_if(meant, [&](size_t number) { return !kept.contains(number); });
  };
  if (!selection.from.empty()) {
    const auto from = named(stages, selection.from);
    const auto later = with_dependents(stages, {from.begin(), from.end()});
    keep({later.begin(), later.end()});
  }
  if (!selection.until.empty()) keep(with_needs(stages, named(stages, selection.until)));
  if (meant.empty()) {
    fail_usage("--only, --from and --until leave no stage; --list names all stages of the run");
  }
  return {meant.begin(), meant.end()};
}

std::vector<size_t> with_dependents(const std::vector<RunStage>& stages,
                                    const std::vector<size_t>& numbers) {
  std::set<std::string> names;
  for (const size_t number : numbers) names.insert(stages[number].process.name);
  std::set<size_t> found(numbers.begin(), numbers.end());
  for (const size_t number : order_of(stages)) {
    const RunStage& stage = stages[number];
    if (std::ranges::none_of(stage.after, [&](const auto& n) { return names.contains(n); }))
      continue;
    names.insert(stage.process.name);
    found.insert(number);
  }
  return {found.begin(), found.end()};
}

std::vector<RunStage> graph_of_selected(const std::vector<RunStage>& stages,
                                        const std::vector<size_t>& numbers) {
  const std::set<std::string> needs = needs_outside(stages, numbers);
  std::vector<std::string> missing;
  for (const RunStage& stage : stages) {
    if (!needs.contains(stage.process.name)) continue;
    if (status_of({stage})[0].state != StageState::done) missing.push_back(missing_text(stage));
  }
  if (!missing.empty()) {
    const std::string what = numbers.size() > 1 ? "the selected stages need"
                                                : stages[numbers[0]].process.name + " needs";
    fail_usage("{} what is not done yet:{}\n  run that first, or select it, too", what,
               indented_list(missing));
  }
  std::vector<RunStage> graph;
  for (const size_t number : numbers) {
    graph.push_back(stages[number]);
    std::erase_if(graph.back().after, [&](const auto& name) { return needs.contains(name); });
  }
  return graph;
}

}  // namespace hardmoe
