#include "tasks/levers.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace hardmoe {
namespace {

/// In the order of Lever.
const std::vector<std::string> names_of_all = {"reroute", "router", "finetune"};

}  // namespace

std::set<Lever> parse_levers(const std::vector<std::string>& names) {
  std::set<Lever> levers;
  const std::string word = names.size() == 1 ? names[0] : "";
  if (word == "none" || word == "false") return levers;
  for (const auto& name : word == "all" ? names_of_all : names) {
    const auto found = std::ranges::find(names_of_all, name);
    if (found == names_of_all.end()) {
      fail_usage("run.levers: expected all, none or a list of {}; found '{}'",
                 join(names_of_all, ", "), name);
    }
    levers.insert(static_cast<Lever>(found - names_of_all.begin()));
  }
  return levers;
}

std::string lever_name(Lever lever) { return names_of_all.at(static_cast<size_t>(lever)); }

std::vector<std::string> lever_names(const std::set<Lever>& levers) {
  std::vector<std::string> names;
  for (const Lever lever : levers) names.push_back(lever_name(lever));
  return names;
}

}  // namespace hardmoe
