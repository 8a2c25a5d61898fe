// moe-compare: evaluations of several systems → their differences, with intervals.
#pragma once

#include <string>
#include <vector>

#include "train/bootstrap.h"

namespace hardmoe {

/// What moe-compare is to do.
struct CompareTask {
  std::vector<std::string> systems;  ///< DIR, DIR,DIR,… (a seed each) or NAME=DIR,…
  std::vector<std::string> columns;  ///< such as "truth P@1"; empty: P@1, P@5 and R@10
  BootstrapOptions bootstrap;
  bool json = false;  ///< return a line of JSON, not tables
};

/// Returns tables, or a line of JSON. Throws Error(usage) as compare_systems() does.
std::string compare_evaluations(const CompareTask& task);

}  // namespace hardmoe
