#include "tasks/compare.h"

#include "base/error.h"
#include "base/folders.h"
#include "base/text.h"
#include "moe/comparison.h"
#include "tasks/results.h"

namespace hardmoe {
namespace {

/// Reads DIR, DIR,DIR,… or NAME=DIR,…; a comma or = in the name of an existing folder does not
/// separate.
EvaluatedSystem system_of(const std::string& text) {
  if (path_exists(text)) return {text, {text}};
  const size_t equals = text.find('=');
  EvaluatedSystem system{text.substr(0, equals), {}};
  const std::string folders = equals == std::string::npos ? text : text.substr(equals + 1);
  if (path_exists(folders)) {
    system.evaluations = {folders};
    return system;
  }
  for (const auto& folder : split(folders, ',')) {
    if (!folder.empty()) system.evaluations.emplace_back(folder);
  }
  return system;
}

}  // namespace

std::string compare_evaluations(const CompareTask& task) {
  if (task.bootstrap.resamples < 100 || task.bootstrap.resamples > 10'000'000) {
    fail_usage("--resamples: expected 100 to 10000000, found {}", task.bootstrap.resamples);
  }
  std::vector<EvaluatedSystem> systems;
  for (const auto& text : task.systems) systems.push_back(system_of(text));
  const auto comparisons = compare_systems(systems, task.columns, task.bootstrap);
  return task.json ? result_line(comparison_json(systems, comparisons))
                   : comparison_text(systems, comparisons);
}

}  // namespace hardmoe
