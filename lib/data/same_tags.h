// Finds datasets whose tags teach nothing, such as a folder of photographs of one event.
#pragma once

#include <string>

#include "data/dataset.h"

namespace hardmoe {

/// Returns a warning if all images of the split 'train' have the same tags: a sentence that names
/// them and what to do. Returns "" if two images differ, which usually the first few show.
std::string warning_of_same_tags(const Dataset& dataset);

}  // namespace hardmoe
