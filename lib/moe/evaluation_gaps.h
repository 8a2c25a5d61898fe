// What an evaluation did not measure, which its means do not show.
#pragma once

#include <string>
#include <vector>

#include "moe/evaluation.h"

namespace hardmoe {

/// Sentences to warn with: labels that no image of the split has, so that their metrics are of
/// nothing; images without a tag, which the means leave out; experts that no image was sent to.
std::vector<std::string> evaluation_gaps(const Evaluation& evaluation, const std::string& split);

}  // namespace hardmoe
