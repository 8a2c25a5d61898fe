#include "tasks/controls.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace hardmoe {
namespace {

/// In the order of Control.
const std::vector<std::string> names_of_all = {"longer", "wider",   "ensemble", "base-and-longer",
                                               "random", "top-tag", "steps"};

Control parse_control(const std::string& name) {
  const auto found = std::ranges::find(names_of_all, name);
  if (found != names_of_all.end()) return static_cast<Control>(found - names_of_all.begin());
  fail_usage("run.controls: expected all, none or a list of {}; found '{}'",
             join(names_of_all, ", "), name);
}

}  // namespace

std::set<Control> parse_controls(const std::vector<std::string>& names) {
  std::set<Control> controls;
  const std::string word = names.size() == 1 ? names[0] : "";
  if (word == "none" || word == "false") return controls;
  if (word == "true") return {Control::longer};
  for (const auto& name : word == "all" ? names_of_all : names)
    controls.insert(parse_control(name));
  if (controls.contains(Control::base_and_longer)) controls.insert(Control::longer);
  return controls;
}

std::string control_name(Control control) { return names_of_all.at(static_cast<size_t>(control)); }

std::vector<std::string> control_names(const std::set<Control>& controls) {
  std::vector<std::string> names;
  for (const Control control : controls) names.push_back(control_name(control));
  return names;
}

}  // namespace hardmoe
