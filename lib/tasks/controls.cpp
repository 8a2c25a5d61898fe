#include "tasks/controls.h"

#include "tasks/name_set.h"

namespace hardmoe {
namespace {

/// In the order of Control.
const std::vector<std::string> names_of_all = {"longer", "wider",   "ensemble", "base-and-longer",
                                               "random", "top-tag", "steps"};

}  // namespace

std::set<Control> parse_controls(const std::vector<std::string>& names) {
  if (names == std::vector<std::string>{"true"}) return {Control::longer};
  auto controls = parse_name_set<Control>("run.controls", names_of_all, names);
  if (controls.contains(Control::base_and_longer)) controls.insert(Control::longer);
  return controls;
}

std::string control_name(Control control) { return names_of_all.at(static_cast<size_t>(control)); }

std::vector<std::string> control_names(const std::set<Control>& controls) {
  return names_of_set(names_of_all, controls);
}

}  // namespace hardmoe
