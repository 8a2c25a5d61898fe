// What a run tries on its trained mixture, each a row beside it: the key run.levers.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace hardmoe {

/// A change to the mixture, by itself: none builds on another.
enum class Lever {
  reroute,  ///< a partition by what the experts can do, and experts of it (moe-partition --reroute)
  router,   ///< a small CNN routes in the base's place (moe-train-router)
  finetune,  ///< experts and shared decoder trained together (moe-finetune)
};

/// Returns the levers that a list of their names means; alone, "all" means each, "none" and "false"
/// none. Throws Error(usage) naming run.levers and the name that is unknown.
std::set<Lever> parse_levers(const std::vector<std::string>& names);

/// Returns "reroute", …
std::string lever_name(Lever lever);

/// Returns their names, in the order of Lever.
std::vector<std::string> lever_names(const std::set<Lever>& levers);

}  // namespace hardmoe
