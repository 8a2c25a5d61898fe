// What a user should know of a partition's sizes before experts are trained.
#pragma once

#include "moe/partition.h"

namespace hardmoe {

/// Warns where parts are not within the tolerance that was asked for, with the likely reason.
void warn_if_unequal(const Partition& partition);

/// Warns of experts that have so little that they can learn little, or nothing.
void warn_of_small(const Partition& partition);

}  // namespace hardmoe
