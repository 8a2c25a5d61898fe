#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace hardmoe {

double learning_rate(const TrainConfig& config, int64_t step, int64_t total_steps,
                     int64_t steps_per_epoch) {
  const double at = static_cast<double>(step);
  const double total = static_cast<double>(total_steps);
  const double warm = config.warmup * total;
  const double rising = warm > 0 ? std::min(1.0, (at + 1) / warm) : 1.0;
  const double progress = warm < total ? std::clamp((at - warm) / (total - warm), 0.0, 1.0) : 0.0;
  double falling = 1;
  switch (config.schedule) {
    case ScheduleKind::cosine:
      falling = 0.5 * (1 + std::cos(std::numbers::pi * progress));
      break;
    case ScheduleKind::linear:
      falling = 1 - progress;
      break;
    case ScheduleKind::step:
      for (const double epoch : config.step_epochs) {
        if (at >= epoch * static_cast<double>(steps_per_epoch)) falling *= config.step_factor;
      }
      break;
    case ScheduleKind::constant:
      break;
  }
  return config.lr * std::min(rising, falling);
}

void check_train_config(const TrainConfig& config, const char* section) {
  const auto require = [&](bool good, const char* key, const char* expected, double found) {
    if (!good) fail_usage("{}.{}: expected {}, found {}", section, key, expected, found);
  };
  require(config.epochs > 0 && config.epochs <= 1e6, "epochs", "more than 0", config.epochs);
  require(config.batch >= 1 && config.batch <= 1 << 20, "batch", "1 to 1048576", config.batch);
  require(config.lr >= 0, "lr", "at least 0", config.lr);
  require(config.momentum >= 0 && config.momentum < 1, "momentum", "0 to below 1", config.momentum);
  require(config.beta2 >= 0 && config.beta2 < 1, "beta2", "0 to below 1", config.beta2);
  require(config.weight_decay >= 0, "weight_decay", "at least 0", config.weight_decay);
  require(config.warmup >= 0 && config.warmup <= 1, "warmup", "0 to 1", config.warmup);
  require(config.step_factor >= 0, "step_factor", "at least 0", config.step_factor);
  require(config.label_smoothing >= 0 && config.label_smoothing < 1, "label_smoothing",
          "0 to below 1", config.label_smoothing);
  require(config.slow_factor > 0, "slow_factor", "more than 0", config.slow_factor);
  require(config.pull >= 0, "pull", "at least 0", config.pull);
  require(config.ema >= 0 && config.ema < 1, "ema", "0 to below 1", config.ema);
  require(config.log_every >= 1, "log_every", "at least 1", config.log_every);
  require(config.checkpoint_minutes > 0, "checkpoint_minutes", "more than 0",
          config.checkpoint_minutes);
  if (config.schedule == ScheduleKind::step && config.step_epochs.empty()) {
    fail_usage("{}.step_epochs: schedule: step needs the epochs to step at, e.g. [30, 60]",
               section);
  }
}

}  // namespace hardmoe
