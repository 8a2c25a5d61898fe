// Datasets from whose tags nothing can be learned: a folder of photographs by event, say, is one
// tag.
#pragma once

#include <string>

#include "data/dataset.h"

namespace hardmoe {

/// What to warn of before training where all images of the split 'train' have the same tags, a
/// vocabulary of one tag included: a sentence that names them and what to do. Empty where two
/// images differ, which the first few say.
std::string warning_of_same_tags(const Dataset& dataset);

}  // namespace hardmoe
