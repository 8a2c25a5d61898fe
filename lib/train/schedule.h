// The learning rate of each step, and the check of a run's settings.
#pragma once

#include <cstdint>

#include "train/config.h"

namespace hardmoe {

/// Returns the learning rate of a step, counted from 0. It rises linearly to config.lr over the
/// first `warmup` share of the steps; then it falls to 0 at total_steps (cosine or linear), by
/// step_factor at each of step_epochs, or not at all.
double learning_rate(const TrainConfig& config, int64_t step, int64_t total_steps,
                     int64_t steps_per_epoch);

/// Throws Error(usage) naming the key that is out of range, and its range.
void check_train_config(const TrainConfig& config, const char* section);

}  // namespace hardmoe
