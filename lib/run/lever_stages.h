// The stages of what a run tries on its trained mixture (run.levers), in levers/.
#pragma once

#include "run/seed_stages.h"

namespace hardmoe {

/// Adds the stages of each lever that is asked for, and its evaluation, a row of the table.
/// `mixture`: the run's own, whose experts and decoder have been added.
void add_levers(const PlannedMixture& mixture, SeedStages& stages);

}  // namespace hardmoe
