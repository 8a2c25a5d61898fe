// What an evaluation could not measure, which its means alone do not show.
#pragma once

#include <string>
#include <vector>

#include "moe/evaluation.h"

namespace hardmoe {

/// Returns sentences to warn with: kinds of labels that no image of the split has; images without
/// a tag, which the means leave out; experts to which no image was routed.
std::vector<std::string> evaluation_gaps(const Evaluation& evaluation, const std::string& split);

}  // namespace hardmoe
