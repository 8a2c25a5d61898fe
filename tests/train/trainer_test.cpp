// The training loop: resumed runs end as uninterrupted ones, to the byte, and divergence is told.
#include "train/trainer.h"

#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>

#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "engine/network_facts.h"
#include "expect_error.h"
#include "temporary_folder.h"
#include "train/checkpoint.h"
#include "train/toy_training.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

struct PowerCut {};

class Trainer : public testing::Test {
 protected:
  Trainer() : engine(make_engine("cpu")) { set_log_level(LogLevel::warning); }

  TrainResult run(const TrainConfig& config, const fs::path& out, ToySource& source,
                  const std::string& run = {}) const {
    fs::create_directories(out);
    return train(*engine, toy_network(), initial_weights(toy_network(), 1), source, config, out,
                 run);
  }
  /// One that saves after each step and stops before batch number `stop`.
  void stop_at(int stop, TrainConfig config, const fs::path& out, const std::string& name) const {
    config.checkpoint_minutes = 1e-9;
    ToySource source;
    int batches = 0;
    source.before_next = [&] {
      if (batches++ == stop) throw PowerCut{};
    };
    EXPECT_THROW(run(config, out, source, name), PowerCut);
  }
  TrainResult run(const TrainConfig& config, const fs::path& out) const {
    ToySource source;
    return run(config, out, source);
  }

  TemporaryFolder folder;
  std::unique_ptr<Engine> engine;
};

std::vector<TrainConfig> settings() {
  TrainConfig sgd = toy_config();
  TrainConfig averaged = sgd;
  averaged.ema = 0.8;
  averaged.nesterov = false;
  averaged.loss = LossKind::sigmoid;
  TrainConfig adamw = sgd;
  adamw.optimizer = OptimizerKind::adamw;
  adamw.lr = 0.01;
  TrainConfig both = adamw;
  both.ema = 0.8;
  both.label_smoothing = 0.1;
  TrainConfig near = averaged;
  near.pull = 0.3;
  near.slow = {"fc.bias"};
  TrainConfig near_by_adamw = adamw;
  near_by_adamw.pull = 0.3;
  return {sgd, averaged, adamw, both, near, near_by_adamw};
}

TEST_F(Trainer, ResumedRunsEndAsUninterruptedOnes) {
  int number = 0;
  for (TrainConfig config : settings()) {
    const std::string name = std::to_string(number++);
    const TrainResult whole = run(config, folder / ("whole" + name));
    EXPECT_EQ(whole.steps, 15);
    config.checkpoint_minutes = 1e-9;       // one after each step
    for (const int stop : {1, 5, 7, 14}) {  // the fifth ends an epoch
      const fs::path out = folder / (name + "-" + std::to_string(stop));
      ToySource source;
      int batches = 0;
      source.before_next = [&] {
        if (batches++ == stop + stop / 6) throw PowerCut{};  // an epoch's end is asked for as well
      };
      EXPECT_THROW(run(config, out, source), PowerCut);
      ASSERT_TRUE(fs::exists(checkpoint_file(out)));
      const TrainResult resumed = run(config, out);
      EXPECT_EQ(resumed.steps, whole.steps);
      EXPECT_NEAR(resumed.loss, whole.loss, 1e-12);
      expect_same_bytes(resumed.weights, whole.weights);
    }
  }
}

// What operators draw is the seed's: another one ends elsewhere, an interruption changes nothing.
TEST_F(Trainer, TheSeedReachesWhatTheNetworkDraws) {
  Network network = toy_network();
  network.logits = network.append({"noise", "noise", {network.logits}, {{"deviation", 0.5}}});
  TrainConfig config = toy_config();
  const auto trained = [&](const std::string& name, uint64_t seed, int stop) {
    ToySource source;
    int batches = 0;
    source.before_next = [&] {
      if (batches++ == stop) throw PowerCut{};
    };
    fs::create_directories(folder / name);
    return train(*engine, network, initial_weights(network, 1), source, config, folder / name, {},
                 {}, {}, seed)
        .weights;
  };
  constexpr int never = -1;
  const StateDict whole = trained("whole", 7, never), other = trained("other", 8, never);
  EXPECT_NE(std::memcmp(whole.at("fc.weight").data(), other.at("fc.weight").data(),
                        whole.at("fc.weight").bytes()),
            0);
  config.checkpoint_minutes = 1e-9;
  EXPECT_THROW(trained("resumed", 7, 6), PowerCut);
  expect_same_bytes(trained("resumed", 7, never), whole);
}

TEST_F(Trainer, ADamagedCheckpointFallsBackAndEndsTheSame) {
  const TrainResult whole = run(toy_config(), folder / "whole");
  const fs::path out = folder / "out", file = checkpoint_file(out);
  stop_at(4, toy_config(), out, "run");
  std::string bytes = read_file(file);
  for (size_t i = bytes.size() - 20; i < bytes.size() - 16; ++i) bytes[i] = '?';
  std::ofstream(file, std::ios::binary) << bytes;
  ToySource source;
  testing::internal::CaptureStderr();
  const TrainResult resumed = run(toy_config(), out, source, "run");
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find(file.string() + ": damaged"), std::string::npos) << said;
  expect_same_bytes(resumed.weights, whole.weights);
  EXPECT_EQ(read_file(out / "log.jsonl").find("\"step\":4,"), std::string("{").size());
}

TEST_F(Trainer, AnotherRunsCheckpointIsNotGoneOnFrom) {
  const TrainResult whole = run(toy_config(), folder / "whole");
  TrainConfig other = toy_config();
  other.lr = 0.05;
  stop_at(4, other, folder / "out", "other");
  ToySource source;
  expect_same_bytes(run(toy_config(), folder / "out", source, "this").weights, whole.weights);
}

TEST_F(Trainer, LearnsAndReports) {
  const TrainResult result = run(toy_config(), folder / "out");
  const auto lines = split(trim(read_file(folder / "out/log.jsonl")), '\n');
  ASSERT_EQ(lines.size(), 6U);  // steps 4, 8, 12, and an epoch's last ones: 5, 10, 15
  const Json first = Json::parse(lines[0]), last = Json::parse(lines[5]);
  EXPECT_EQ(first["step"], 4);
  EXPECT_EQ(first["epoch"], 0.8);
  EXPECT_EQ(last["step"], 15);
  EXPECT_EQ(last["epoch"], 3.0);
  EXPECT_EQ(last["loss"], result.loss);
  EXPECT_LT(last["loss"].get<double>(), 0.8 * first["loss"].get<double>());
  EXPECT_GT(result.images_per_second, 0);
}

TEST_F(Trainer, FractionsOfAnEpochAreRoundedToStepsAndNeverNone) {
  TrainConfig config = toy_config();
  config.epochs = 0.5;
  EXPECT_EQ(run(config, folder / "half").steps, 3);  // of 2.5, rounded
  config.epochs = 0.01;
  EXPECT_EQ(run(config, folder / "least").steps, 1);
}

TEST_F(Trainer, AFinishedCheckpointIsNotTrainedFurther) {
  TrainConfig config = toy_config();
  const TrainResult whole = run(config, folder / "out");
  const auto program = engine->compile(toy_network(), training_options(config));
  program->load_weights(whole.weights, "trained");
  save_checkpoint(checkpoint_file(folder / "out"), *program, {15, 0, 0, 0.25, 1});
  const TrainResult again = run(config, folder / "out");
  expect_same_bytes(again.weights, whole.weights);
  EXPECT_EQ(again.loss, 0.25);
}

/// Judges by a list, one entry an epoch, and keeps what it was given.
struct Judge {
  std::vector<double> losses;
  std::vector<StateDict> given = {};
  size_t first = 0;  ///< epochs judged by an earlier process

  Validation stop(int patience, double every = 1) {
    return {every, patience, [this](const StateDict& weights) -> Judgment {
              given.push_back(weights);
              return {losses.at(first + given.size() - 1), {{"P@1", 0.25}}};
            }};
  }
};

TEST_F(Trainer, EndsEarlyWithTheBestWeights) {
  for (const double ema : {0.0, 0.8}) {
    TrainConfig config = toy_config();
    config.epochs = 6;
    config.ema = ema;
    Judge judge{{0.5, 0.3, 0.4, 0.3, 0.2, 0.1}};  // as good is no better
    ToySource source;
    const fs::path out = folder / fmt::format("out{}", ema);
    fs::create_directories(out);
    const TrainResult result = train(*engine, toy_network(), initial_weights(toy_network(), 1),
                                     source, config, out, {}, {}, judge.stop(2));
    EXPECT_EQ(result.steps, 20);  // of 30
    EXPECT_EQ(result.best_step, 10);
    EXPECT_EQ(result.selection_loss, 0.3);
    ASSERT_EQ(judge.given.size(), 4U);
    expect_same_bytes(result.weights, judge.given[1]);
    expect_same_bytes(result.last, judge.given[3]);
    EXPECT_TRUE(result.best.empty()) << "it is the result";
    // The second epoch's weights, averaged where they are, as an uninterrupted run has them.
    config.epochs = 2;
    config.schedule = ScheduleKind::constant;
    config.warmup = 0;
    TrainConfig longer = config;
    longer.epochs = 6;
    Judge again{{0.5, 0.3, 0.4, 0.4}};
    ToySource other;
    const fs::path constant = folder / fmt::format("constant{}", ema);
    fs::create_directories(constant);
    const TrainResult best = train(*engine, toy_network(), initial_weights(toy_network(), 1), other,
                                   longer, constant, {}, {}, again.stop(2));
    expect_same_bytes(best.weights, run(config, folder / fmt::format("two{}", ema)).weights);

    std::vector<double> logged;
    int64_t last = 0;
    for (const auto& text : split(trim(read_file(out / "log.jsonl")), '\n')) {
      const Json line = Json::parse(text);
      if (line.contains("selection_loss")) logged.push_back(line["selection_loss"]);
      last = line["step"];
    }
    EXPECT_EQ(logged, (std::vector<double>{0.5, 0.3, 0.4, 0.3}));
    EXPECT_EQ(last, 20) << "the last steps' loss is told, too";
  }
}

TEST_F(Trainer, RunsToItsEndWhileTheSelectionLossFalls) {
  TrainConfig config = toy_config();
  config.epochs = 2.4;  // ends within an epoch
  Judge judge{{0.5, 0.4, 0.45}};
  ToySource source;
  fs::create_directories(folder / "out");
  const TrainResult result = train(*engine, toy_network(), initial_weights(toy_network(), 1),
                                   source, config, folder / "out", {}, {}, judge.stop(2));
  EXPECT_EQ(result.steps, 12);
  EXPECT_EQ(judge.given.size(), 3U) << "after the last step as well";
  EXPECT_EQ(result.best_step, 10);
  expect_same_bytes(result.weights, judge.given[1]);
}

TEST_F(Trainer, JudgmentsWithoutPatienceLeaveTheResultAsItIs) {
  TrainConfig config = toy_config();
  config.epochs = 3;
  const StateDict plain = run(config, folder / "plain").weights;
  Judge judge{{0.5, 0.2, 0.3, 0.4, 0.45, 0.5, 0.6, 0.7}};  // 0.4 epochs of five steps apart
  ToySource source;
  fs::create_directories(folder / "out");
  const TrainResult result = train(*engine, toy_network(), initial_weights(toy_network(), 1),
                                   source, config, folder / "out", {}, {}, judge.stop(0, 0.4));
  EXPECT_EQ(result.steps, 15);
  EXPECT_EQ(judge.given.size(), 8U) << "after steps 2, 4, … and the last";
  expect_same_bytes(result.weights, plain);
  EXPECT_EQ(result.best_step, 4);
  EXPECT_EQ(result.selection_loss, 0.2);
  expect_same_bytes(result.best, judge.given[1]);
  EXPECT_TRUE(result.last.empty());
  std::vector<int64_t> judged;
  for (const auto& text : split(trim(read_file(folder / "out/log.jsonl")), '\n')) {
    const Json line = Json::parse(text);
    if (line.contains("selection_loss")) {
      judged.push_back(line["step"]);
      EXPECT_EQ(line["selection/P@1"], 0.25);
    }
  }
  EXPECT_EQ(judged, (std::vector<int64_t>{2, 4, 6, 8, 10, 12, 14, 15}));
}

TEST_F(Trainer, EachEpochHasALineInTheLog) {
  TrainConfig config = toy_config();
  config.epochs = 3;
  config.log_every = 1000;
  run(config, folder / "out");
  std::vector<int64_t> reported;
  for (const auto& text : split(trim(read_file(folder / "out/log.jsonl")), '\n')) {
    reported.push_back(Json::parse(text)["step"]);
  }
  EXPECT_EQ(reported, (std::vector<int64_t>{5, 10, 15}));
}

TEST_F(Trainer, ResumedRunsEndEarlyAsUninterruptedOnes) {
  const std::vector<double> losses = {0.5, 0.3, 0.4, 0.35, 0.1};
  TrainConfig config = toy_config();
  config.epochs = 5;
  config.ema = 0.8;
  config.checkpoint_minutes = 1e-9;  // one after each step
  const auto begun = [&](ToySource& source, Judge& judge, const std::string& name) {
    fs::create_directories(folder / name);
    return train(*engine, toy_network(), initial_weights(toy_network(), 1), source, config,
                 folder / name, {}, {}, judge.stop(2));
  };
  ToySource source;
  Judge judge{losses};
  const TrainResult whole = begun(source, judge, "whole");
  EXPECT_EQ(whole.steps, 20);
  for (const int stop : {3, 10, 13, 19}) {
    const std::string name = std::to_string(stop);
    ToySource cut;
    int batches = 0;
    cut.before_next = [&] {
      if (batches++ == stop + (stop - 1) / 5) throw PowerCut{};  // an epoch's end is asked for, too
    };
    Judge before{losses};
    EXPECT_THROW(begun(cut, before, name), PowerCut);
    ToySource rest;
    Judge after{losses, {}, before.given.size()};
    const TrainResult resumed = begun(rest, after, name);
    EXPECT_EQ(resumed.steps, whole.steps);
    EXPECT_EQ(resumed.best_step, whole.best_step);
    EXPECT_EQ(resumed.selection_loss, whole.selection_loss);
    expect_same_bytes(resumed.weights, whole.weights);
    EXPECT_EQ(before.given.size() + after.given.size(), 4U) << "each epoch is judged once";
  }
}

TEST_F(Trainer, ASignalWhileItJudgesIsResumedWithThatJudgment) {
  TrainConfig config = toy_config();
  fs::create_directories(folder / "out");
  const auto begun = [&](const Validation& stop) {
    ToySource source;
    return train(*engine, toy_network(), initial_weights(toy_network(), 1), source, config,
                 folder / "out", {}, {}, stop);
  };
  int judged = 0;
  const Validation interrupted = {1, 2, [&](const StateDict&) -> Judgment {
                                    if (++judged == 3) {  // the last one, when all steps are done
                                      throw Error("a signal", ExitStatus::interrupted);
                                    }
                                    return {0.5 - 0.1 * judged};
                                  }};
  expect_error([&] { begun(interrupted); }, {"a signal"}, ExitStatus::interrupted);
  std::vector<StateDict> given;
  const TrainResult resumed = begun({1, 2, [&](const StateDict& weights) -> Judgment {
                                       given.push_back(weights);
                                       return {0.1};
                                     }});
  ASSERT_EQ(given.size(), 1U);
  EXPECT_EQ(resumed.steps, 15);
  EXPECT_EQ(resumed.best_step, 15);
  expect_same_bytes(resumed.weights, run(config, folder / "whole").weights);
  EXPECT_GT(resumed.loss, 0);
}

TEST_F(Trainer, DivergenceIsToldWithStepAndRemedy) {
  TrainConfig config = toy_config();
  config.lr = 1e30;
  config.warmup = 0;
  expect_error([&] { run(config, folder / "out"); },
               {"diverged", "step 4", "epoch 0.80", "lower lr (now 1e+30)", "warmup (now 0)"});
  EXPECT_FALSE(fs::exists(checkpoint_file(folder / "out")));
}

TEST_F(Trainer, ALossFarAboveThatOfEqualScoresIsDivergence) {
  TrainConfig config = toy_config();
  config.lr = 300;  // of a linear layer, whose loss stays a number
  config.warmup = 0;
  config.schedule = ScheduleKind::constant;
  expect_error([&] { run(config, folder / "out"); },
               {"diverged", "step 15", "epoch 3.00", "equal scores for all tags have 1.39",
                "lower lr (now 300)"});
  config.loss = LossKind::sigmoid;  // a sum over tags
  expect_error([&] { run(config, folder / "sigmoid"); }, {"diverged", "have 2.77"});
}

TEST_F(Trainer, ALossAboveThatOfEqualScoresIsAWarning) {
  TrainConfig config = toy_config();
  StateDict wrong = initial_weights(toy_network(), 1);
  for (float& value : wrong.at("fc.bias").as<float>().first(1)) value = 4;
  config.epochs = 0.2;
  config.lr = 1e-6;
  ToySource source;
  fs::create_directories(folder / "out");
  testing::internal::CaptureStderr();
  const TrainResult result = train(*engine, toy_network(), wrong, source, config, folder / "out");
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_GT(result.loss, 1.25 * std::log(4.0) + 0.25);
  EXPECT_LT(result.loss, 2 * std::log(4.0) + 1);
  EXPECT_NE(said.find("nothing was learned; lower lr (now 1e-06) or train for more epochs"),
            std::string::npos)
      << said;
}

TEST_F(Trainer, WeightsThatAreNotNumbersAreNoResult) {
  // The only loss is that of the first weights; the update then leaves the range of float.
  TrainConfig config = toy_config();
  config.epochs = 0.2;
  config.lr = 3e38;
  config.warmup = 0;
  config.weight_decay = 100;
  expect_error([&] { run(config, folder / "out"); }, {"diverged", "step 1", "lower lr"});
}

TEST_F(Trainer, ASignalSavesAndSaysSo) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto interrupted_run = [&] {
    install_signal_handlers();
    ToySource source;
    int batches = 0;
    source.before_next = [&] {
      if (batches++ == 6) std::raise(SIGTERM);
    };
    try {
      run(toy_config(), folder / "out", source);
    } catch (const Error& error) {
      fmt::print(stderr, "{}\n", error.what());
      const bool saved = fs::exists(checkpoint_file(folder / "out"));
      std::_Exit(saved ? static_cast<int>(error.status()) : 1);
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(interrupted_run(), testing::ExitedWithCode(75), "run the same command again");
}

}  // namespace
}  // namespace hardmoe
