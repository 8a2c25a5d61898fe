// The learning rate of each step.
#pragma once

#include <cstdint>

#include "train/config.h"

namespace hardmoe {

/// Rises linearly to config.lr over the first `warmup` share of the steps, then falls: cosine or
/// linear to 0 at total_steps, by step_factor at each of step_epochs, or not at all. `step` counts
/// from 0.
double learning_rate(const TrainConfig& config, int64_t step, int64_t total_steps,
                     int64_t steps_per_epoch);

/// Throws Error(usage) naming the key and what it may be.
void check_train_config(const TrainConfig& config, const char* section);

}  // namespace hardmoe
