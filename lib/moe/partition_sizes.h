// Warnings about a partition's sizes, before experts are trained on them.
#pragma once

#include "moe/partition.h"

namespace hardmoe {

/// Warns if parts are not within the tolerance, with the likely reason.
void warn_if_unequal(const Partition& partition);

/// Warns of experts without images, and of those with less than half of the mean, which cannot
/// learn much.
void warn_of_small(const Partition& partition);

}  // namespace hardmoe
