// Which stages of a run are meant: by name, by kind, from one on, up to one.
#pragma once

#include <string>
#include <vector>

#include "run/stage_graph.h"

namespace hardmoe {

/// Stages by name. A name is that of a stage, "expert 3", or the words that names begin with,
/// "expert", for all of these.
struct StageSelection {
  std::vector<std::string> only = {};  ///< these; empty: all
  std::string from = {};               ///< of those, what is one of these or needs one; "": all
  std::string until = {};  ///< of those, what is one of these or is needed by one; "": all

  bool all() const { return only.empty() && from.empty() && until.empty(); }
};

/// Returns the numbers of the stages meant, ascending. Throws Error(usage) for a name of no stage,
/// with the nearest there is, and if nothing is left.
std::vector<size_t> selected_stages(const std::vector<RunStage>& stages,
                                    const StageSelection& selection);

/// Returns the numbers of the stages that need one of `numbers`, directly or because of others,
/// and of those themselves; ascending.
std::vector<size_t> with_dependents(const std::vector<RunStage>& stages,
                                    const std::vector<size_t>& numbers);

/// Returns the stages of these numbers as a graph of their own: each is after those it needs among
/// them. What else they need must be done: throws Error(usage) naming what is not, and by whom it
/// is being written, if by someone.
std::vector<RunStage> graph_of_selected(const std::vector<RunStage>& stages,
                                        const std::vector<size_t>& numbers);

}  // namespace hardmoe
