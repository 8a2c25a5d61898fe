// The networks that a run compares its mixture with, besides the base: the key run.controls.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace hardmoe {

/// What else could be had at the mixture's cost, or without the partition's sense. "Cost" is the
/// mixture's training FLOPs (base and experts) unless it says otherwise.
enum class Control {
  longer,           ///< the base trained on: as long as base and expert together
  wider,            ///< one network from nothing, as costly an image as base and expert
  ensemble,         ///< two networks of different seeds, averaged as mixture.mix says
  base_and_longer,  ///< base and the longer one, averaged likewise
  random,           ///< experts of parts drawn at random
  top_tag,          ///< experts of parts by the images' most frequent tags
  steps,            ///< experts trained as many steps as they would be on all images
};

/// Returns the controls that a list of their names means; alone, "all" means each, "none" and
/// "false" none, "true" longer. base-and-longer brings longer with it. Throws Error(usage) naming
/// run.controls and the name that is unknown.
std::set<Control> parse_controls(const std::vector<std::string>& names);

/// Returns "longer", "base-and-longer", …
std::string control_name(Control control);

/// Returns their names, in the order of Control.
std::vector<std::string> control_names(const std::set<Control>& controls);

}  // namespace hardmoe
