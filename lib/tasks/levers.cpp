#include "tasks/levers.h"

#include "tasks/name_set.h"

namespace hardmoe {
namespace {

/// In the order of Lever.
const std::vector<std::string> names_of_all = {"reroute", "router", "finetune"};

}  // namespace

std::set<Lever> parse_levers(const std::vector<std::string>& names) {
  return parse_name_set<Lever>("run.levers", names_of_all, names);
}

std::string lever_name(Lever lever) { return names_of_all.at(static_cast<size_t>(lever)); }

std::vector<std::string> lever_names(const std::set<Lever>& levers) {
  return names_of_set(names_of_all, levers);
}

}  // namespace hardmoe
