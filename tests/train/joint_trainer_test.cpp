// Joint training: with everything shared it is one training on the images in turns; and resumed
// runs end as uninterrupted ones, to the byte.
#include "train/joint_trainer.h"

#include <memory>

#include "base/log.h"
#include "engine/network_facts.h"
#include "expect_error.h"
#include "temporary_folder.h"
#include "train/toy_training.h"
#include "train/trainer.h"

namespace hardmoe {
namespace {

struct PowerCut {};

/// Batches of one source, then of the other, as two networks would take them in turns of one step.
class Alternating final : public BatchSource {
 public:
  int64_t items() const override { return 80; }
  int64_t batches_per_epoch() const override { return 10; }
  void start(int64_t epoch, int64_t first_batch) override {
    for (int s = 0; s < 2; ++s) sources_[s].start(epoch, (first_batch + 1 - s) / 2);
    position_ = first_batch;
  }
  const Batch* next() override {
    return position_ < 10 ? sources_[position_++ % 2].next() : nullptr;
  }

 private:
  ToySource sources_[2];
  int64_t position_ = 0;
};

/// A hidden layer, and the head that networks share.
Network with_trunk() {
  Network network = toy_network();
  network.ops.clear();
  const int hidden = network.append({"linear", "hidden", {0}, {{"channels", 5}}});
  network.feature = network.append({"relu", "relu", {hidden}, {}});
  network.logits = network.append({"linear", "fc", {network.feature}, {{"channels", 4}}});
  return network;
}

class JointTrainer : public testing::Test {
 protected:
  JointTrainer() : engine(make_engine("cpu")) { set_log_level(LogLevel::warning); }

  JointResult run(
      const Network& network, size_t count, const TrainConfig& config, int turn_steps,
      const std::string& name, const std::function<void()>& before_next = [] {}) {
    std::filesystem::create_directories(folder / name);
    std::vector<StateDict> initial;
    std::vector<ToySource> sources(count);
    std::vector<BatchSource*> pointers;
    for (size_t k = 0; k < count; ++k) {
      initial.push_back(initial_weights(network, k + 1));
      sources[k].before_next = before_next;
      pointers.push_back(&sources[k]);
    }
    return train_jointly(*engine, network, initial, pointers, config, turn_steps, folder / name,
                         "run");
  }

  TemporaryFolder folder;
  std::unique_ptr<Engine> engine;
};

TEST_F(JointTrainer, OfOneNetworkIsItsTraining) {
  const TrainConfig config = toy_config();
  ToySource source;
  std::filesystem::create_directories(folder / "alone");
  const TrainResult alone = train(*engine, with_trunk(), initial_weights(with_trunk(), 1), source,
                                  config, folder / "alone");
  const JointResult joint = run(with_trunk(), 1, config, 3, "joint");
  EXPECT_EQ(joint.steps, alone.steps);
  expect_same_bytes(joint.weights[0], alone.weights);
}

TEST_F(JointTrainer, OfNetworksThatShareEverythingIsOneTrainingInTurns) {
  TrainConfig config = toy_config();
  config.schedule = ScheduleKind::constant;
  config.warmup = 0;
  Alternating source;
  std::filesystem::create_directories(folder / "alone");
  const TrainResult alone = train(*engine, toy_network(), initial_weights(toy_network(), 1), source,
                                  config, folder / "alone");
  const JointResult joint = run(toy_network(), 2, config, 1, "joint");
  EXPECT_EQ(joint.steps, alone.steps);
  expect_same_bytes(joint.weights[0], alone.weights);
  expect_same_bytes(joint.weights[1], alone.weights);
}

TEST_F(JointTrainer, KeepsTrunksApartAndTheHeadTogether) {
  const JointResult joint = run(with_trunk(), 3, toy_config(), 5, "joint");
  ASSERT_EQ(joint.weights.size(), 3U);
  for (const auto& weights : joint.weights) {
    expect_same_bytes({{"fc.weight", weights.at("fc.weight")}},
                      {{"fc.weight", joint.weights[0].at("fc.weight")}});
  }
  const auto first = joint.weights[0].at("hidden.weight").as<float>();
  const auto second = joint.weights[1].at("hidden.weight").as<float>();
  EXPECT_FALSE(std::equal(first.begin(), first.end(), second.begin()));
  EXPECT_LT(joint.loss, 1.2);  // equal scores have ln 4
}

TEST_F(JointTrainer, ResumedRunsEndAsUninterruptedOnes) {
  TrainConfig config = toy_config();
  const JointResult whole = run(with_trunk(), 2, config, 3, "whole");
  config.checkpoint_minutes = 1e-9;  // one after each turn
  for (const int stop : {1, 3, 8, 15, 29}) {
    const std::string name = std::to_string(stop);
    int batches = 0;
    const auto cut = [&] {
      if (batches++ == stop) throw PowerCut{};
    };
    EXPECT_THROW(run(with_trunk(), 2, config, 3, name, cut), PowerCut);
    const JointResult resumed = run(with_trunk(), 2, config, 3, name);
    for (size_t k = 0; k < 2; ++k) expect_same_bytes(resumed.weights[k], whole.weights[k]);
    EXPECT_EQ(resumed.loss, whole.loss);
  }
}

TEST_F(JointTrainer, ALossFarAboveThatOfEqualScoresIsDivergence) {
  TrainConfig config = toy_config();
  config.lr = 300;  // of a linear layer, whose loss stays a number
  config.warmup = 0;
  config.schedule = ScheduleKind::constant;
  expect_error([&] { run(toy_network(), 2, config, 1, "out"); },
               {"diverged", "equal scores for all tags have 1.39", "lower lr (now 300)"});
}

TEST(JointConfig, RefusesWhatCannotBeExchanged) {
  TrainConfig config = toy_config();
  expect_error([&] { check_joint_config(config, 0, "finetune"); },
               {"finetune.turn_steps", "found 0"}, ExitStatus::usage);
  config.ema = 0.9;
  expect_error([&] { check_joint_config(config, 1, "finetune"); }, {"finetune.ema", "0.9"},
               ExitStatus::usage);
  config.ema = 0;
  config.optimizer = OptimizerKind::adamw;
  expect_error([&] { check_joint_config(config, 1, "finetune"); }, {"finetune.optimizer", "sgd"},
               ExitStatus::usage);
}

}  // namespace
}  // namespace hardmoe
