// The split 'selection', which moe-ingest cuts from the training images: what is chosen or stopped
// by results is so on these, and `val` is for the tables only.
#pragma once

#include <string>

#include "data/dataset.h"

namespace hardmoe {

inline constexpr const char* selection_split = "selection";

/// Throws Error(usage) that says how to make the split. `need`: what needs it ("expert.patience");
/// `dataset`: which does not have it; `otherwise`: what else would help, if anything.
[[noreturn]] void fail_without_selection(const std::string& need, const std::string& dataset,
                                         const std::string& otherwise = {});

/// Returns the split. Throws Error(usage) as above if the dataset has none.
const Split& require_selection(const Dataset& dataset, const std::string& need,
                               const std::string& otherwise = {});

}  // namespace hardmoe
