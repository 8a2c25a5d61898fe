// Many training steps of ResNets on the device under test beside the CPU engine's: the same losses
// and statistics within rounding, which grows with the steps.
#include <gtest/gtest.h>

#include "engine/network_facts.h"
#include "engine/operator_cases.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

struct Model {
  const char* name;
  ModelConfig config;
  int64_t batch;
  int steps;
  /// Every step begins where the CPU is: on maps of a few pixels a deep network makes any rounding
  /// grow a hundredfold a step.
  bool side_by_side;
};

std::ostream& operator<<(std::ostream& out, const Model& model) { return out << model.name; }

class TrainingParity : public testing::TestWithParam<Model> {};

TEST_P(TrainingParity, LossesAreTheCpus) {
  if (device_under_test() == "cpu") GTEST_SKIP() << "the CPU is what others are compared with";
  const Model& model = GetParam();
  const Network network = resnet(model.config, 11);
  CompileOptions options;
  options.batch = model.batch;
  options.optimizer.weight_decay = 1e-4F;
  options.optimizer.ema_decay = 0.9F;
  const auto cpu = make_engine("cpu")->compile(network, options);
  const auto device = engine_under_test()->compile(network, options);
  for (const auto& program : {cpu.get(), device.get()}) {
    program->load_weights(initial_weights(network, 3), "initial");
  }
  double first = 0, last = 0;
  for (int step = 0; step < model.steps; ++step) {
    if (model.side_by_side) {
      device->load_weights(cpu->weights(), "the CPU's");
      device->load_optimizer_state(cpu->optimizer_state(), "the CPU's");
    }
    const auto take = [&](Program& program) {
      // Gone as soon as the step was started: programs may not read it later.
      program.train_step(case_batch(network, model.batch, static_cast<uint64_t>(step % 4)), 0.002F);
      return program.take_loss();
    };
    last = take(*cpu);
    if (step == 0) first = last;
    EXPECT_NEAR(take(*device), last, (step < 20 ? 1e-4 : 0.01) * (last + 0.1)) << "step " << step;
  }
  if (model.steps >= 50) {
    EXPECT_LT(last, 0.8 * first) << "it learned nothing";
  }
}

#ifdef HARDMOE_CUDA_EMULATION
constexpr int deep_steps = 8;  // a second each
#else
constexpr int deep_steps = 50;
#endif

INSTANTIATE_TEST_SUITE_P(
    ResNets, TrainingParity,
    testing::Values(Model{"resnet18", {18, Stem::small, 8, 16}, 4, 50, false},
                    Model{"resnet18_imagenet", {18, Stem::imagenet, 8, 64}, 4, 5, false},
                    Model{"resnet50", {50, Stem::small, 8, 16}, 4, deep_steps, true}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace hardmoe
