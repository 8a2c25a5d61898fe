// Learning rates against what torch.optim.lr_scheduler (PyTorch 1.13) gives, step by step.
#include "train/schedule.h"

#include <gtest/gtest.h>

#include "expect_error.h"

namespace hardmoe {
namespace {

TrainConfig config_of(ScheduleKind kind, double lr, double warmup) {
  TrainConfig config;
  config.schedule = kind;
  config.lr = lr;
  config.warmup = warmup;
  return config;
}

void expect_rates(const TrainConfig& config, int64_t per_epoch, const std::vector<double>& rates) {
  const auto total = static_cast<int64_t>(rates.size());
  for (int64_t step = 0; step < total; ++step) {
    EXPECT_NEAR(learning_rate(config, step, total, per_epoch), rates[static_cast<size_t>(step)],
                1e-15)
        << "step " << step;
  }
}

TEST(Schedule, CosineFollowsItsFormula) {  // CosineAnnealingLR(T_max=8)
  expect_rates(config_of(ScheduleKind::cosine, 0.1, 0), 4,
               {0.1, 0.09619397662556434, 0.08535533905932738, 0.0691341716182545, 0.05,
                0.030865828381745515, 0.014644660940672627, 0.0038060233744356634});
}

TEST(Schedule, LinearFollowsItsFormula) {  // LinearLR(start_factor=1, end_factor=0, total_iters=8)
  expect_rates(config_of(ScheduleKind::linear, 0.1, 0), 4,
               {0.1, 0.0875, 0.075, 0.0625, 0.05, 0.0375, 0.025, 0.0125});
}

TEST(Schedule,
     StepFallsAtItsSteps) {  // MultiStepLR(milestones=[3, 6], gamma=0.1), epochs of 2 steps
  auto config = config_of(ScheduleKind::step, 0.05, 0);
  config.step_epochs = {1.5, 3};
  expect_rates(config, 2, {0.05, 0.05, 0.05, 0.005, 0.005, 0.005, 0.0005, 0.0005});
}

TEST(Schedule, ConstantStays) {
  expect_rates(config_of(ScheduleKind::constant, 0.3, 0), 1, {0.3, 0.3, 0.3});
}

TEST(Schedule, WarmUpComesBeforeTheCosine) {
  // SequentialLR of LinearLR(start_factor=1/4, total_iters=3) for 4 steps and CosineAnnealingLR(6)
  expect_rates(config_of(ScheduleKind::cosine, 0.1, 0.4), 5,
               {0.025, 0.05, 0.075, 0.1, 0.1, 0.09330127018922195, 0.075, 0.05, 0.025,
                0.006698729810778065});
}

TEST(Schedule, WarmUpMayBeAllThereIs) {
  expect_rates(config_of(ScheduleKind::linear, 1, 1), 1, {0.25, 0.5, 0.75, 1});
}

TEST(Schedule, SettingsAreChecked) {
  const auto refused = [](auto change, const std::vector<std::string>& words) {
    TrainConfig config;
    change(config);
    expect_error([&] { check_train_config(config, "expert"); }, words, ExitStatus::usage);
  };
  EXPECT_NO_THROW(check_train_config(TrainConfig{}, "base"));
  refused([](auto& c) { c.epochs = 0; }, {"expert.epochs", "more than 0", "found 0"});
  refused([](auto& c) { c.batch = 0; }, {"expert.batch", "found 0"});
  refused([](auto& c) { c.lr = -1; }, {"expert.lr", "found -1"});
  refused([](auto& c) { c.momentum = 1; }, {"expert.momentum", "below 1", "found 1"});
  refused([](auto& c) { c.beta2 = 1; }, {"expert.beta2"});
  refused([](auto& c) { c.weight_decay = -1; }, {"expert.weight_decay"});
  refused([](auto& c) { c.warmup = 1.5; }, {"expert.warmup", "0 to 1", "found 1.5"});
  refused([](auto& c) { c.label_smoothing = 1; }, {"expert.label_smoothing"});
  refused([](auto& c) { c.ema = 1; }, {"expert.ema"});
  refused([](auto& c) { c.log_every = 0; }, {"expert.log_every"});
  refused([](auto& c) { c.checkpoint_minutes = 0; }, {"expert.checkpoint_minutes"});
  refused([](auto& c) { c.step_factor = -1; }, {"expert.step_factor"});
  refused([](auto& c) { c.schedule = ScheduleKind::step; },
          {"expert.step_epochs", "the epochs to step at"});
}

}  // namespace
}  // namespace hardmoe
