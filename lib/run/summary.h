// The results of a finished run, for other tools: what each evaluation found, and the rows of the
// run's table. As text for people: run/summary_table.h.
#pragma once

#include "base/json.h"
#include "run/pipeline.h"

namespace hardmoe {

/// Returns the results of a finished run, as summary.json has them:
///   "evaluations": for each seed and network what moe-eval found, with "name", "key", "seed", and
///                  "training_seconds" and "training_flops" of all stages that it takes
///   "table":       for each network and kind of label a flat object of numbers (see
///                  docs/formats.md): means over seeds, standard errors, costs, the lead of the mixture
///                  with local decoders; what a lever gains over the row that it changes, and over the
///                  networks that the mixture is compared with
/// Numbers that are not known are null. Throws Error if a stage is not finished.
Json pipeline_summary(const Pipeline& pipeline);

}  // namespace hardmoe
