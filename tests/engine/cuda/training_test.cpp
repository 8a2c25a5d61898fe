// Whole training steps of the CUDA engine's programs, on the emulated GPU, beside the CPU engine's:
// losses of 50 steps, weights after them; queues that do everything late or at once; what a step
// may not do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "emulated_gpu.h"
#include "engine/network_facts.h"
#include "engine/operator_cases.h"
#include "expect_error.h"
#include "nn/resnet.h"

namespace hardmoe {
namespace {

using cuda_emulation::gpu_counts;
using cuda_emulation::gpu_options;

class CudaTraining : public testing::Test {
 protected:
  void TearDown() override { gpu_options() = {}; }
};

struct Trained {
  std::vector<double> losses;
  StateDict weights;
};

Trained train(Engine& engine, const Network& network, CompileOptions options, int steps,
              int between_losses = 1) {
  const auto program = engine.compile(network, options);
  program->load_weights(initial_weights(network, 3), "initial");
  Trained run;
  for (int step = 0; step < steps; ++step) {
    // Gone as soon as the step was started: programs may not read it later.
    program->train_step(case_batch(network, options.batch, static_cast<uint64_t>(step % 4)), 0.02F);
    if ((step + 1) % between_losses == 0) run.losses.push_back(program->take_loss());
  }
  run.weights = program->weights();
  return run;
}

double distance(const StateDict& a, const StateDict& b) {
  double difference = 0, size = 0;
  for (const auto& [name, tensor] : a) {
    const auto x = tensor.as<float>(), y = b.at(name).as<float>();
    for (size_t i = 0; i < x.size(); ++i) {
      difference += std::pow(double{x[i]} - double{y[i]}, 2);
      size += std::pow(double{y[i]}, 2);
    }
  }
  return std::sqrt(difference / size);
}

// The same bits whether copies are done as late as they may be or at once, and whether or not
// somebody waits after every step.
TEST_F(CudaTraining, NothingDependsOnWhenQueuesWork) {
  const Network network = resnet({18, Stem::small, 8, 8}, 7);
  CompileOptions options;
  options.batch = 2;
  const Trained calm = train(*make_engine("cuda"), network, options, 6);
  for (const bool hasty : {false, true}) {
    gpu_options().hasty_copies = hasty;
    const Trained run = train(*make_engine("cuda"), network, options, 6, 6);
    double mean = 0;
    for (const double loss : calm.losses) mean += loss / 6;
    EXPECT_NEAR(run.losses[0], mean, 1e-12);
    EXPECT_EQ(distance(run.weights, calm.weights), 0);
  }
}

TEST_F(CudaTraining, AStepIsOneGraphAndAsksForNoMemory) {
  const Network network = head_case({5, 7}, 8, 7, 4).network;
  const auto engine = make_engine("cuda");
  const auto program = engine->compile(network, {.batch = 4});
  program->load_weights(case_weights(network), "closed form");
  const Batch batch = case_batch(network, 4);
  const auto before = gpu_counts();
  for (int i = 0; i < 3; ++i) program->train_step(batch, 0.1F);
  program->take_loss();
  EXPECT_EQ(gpu_counts().allocations, before.allocations);
  EXPECT_EQ(gpu_counts().graph_launches, before.graph_launches + 3);
  EXPECT_EQ(gpu_counts().bytes, program->memory_bytes());
}

TEST_F(CudaTraining, ProfilingRunsCallByCallWithTheSameResult) {
  const Network network = head_case({5, 7}, 8, 7, 4).network;
  const auto engine = make_engine("cuda");
  const auto plain = engine->compile(network, {.batch = 4});
  const auto profiled = engine->compile(network, {.batch = 4});
  for (const auto& program : {plain.get(), profiled.get()}) {
    program->load_weights(case_weights(network), "closed form");
  }
  profiled->set_profiling(true);
  const auto before = gpu_counts().graph_launches;
  for (int i = 0; i < 3; ++i) profiled->train_step(case_batch(network, 4), 0.1F);
  EXPECT_EQ(gpu_counts().graph_launches, before);
  profiled->set_profiling(false);
  for (int i = 0; i < 3; ++i) plain->train_step(case_batch(network, 4), 0.1F);
  EXPECT_EQ(distance(plain->weights(), profiled->weights()), 0);
  const auto lines = profiled->profile();
  EXPECT_FALSE(lines.empty());
  for (const auto& line : lines) EXPECT_GT(line.seconds, 0) << line.name;
}

// More tags than the slots were made for: they are made anew, and nothing else changes.
TEST_F(CudaTraining, BatchesOfManyTagsFindRoom) {
  const Network network = linear_case(16, 1000, 3).network;
  const auto with_tags = [&](int64_t tags) {
    Batch batch = case_batch(network, 3);
    batch.tag_ids.clear();
    batch.tag_ptr = {0};
    for (int row = 0; row < 3; ++row) {
      for (int64_t tag = 0; tag < tags; ++tag) batch.tag_ids.push_back(static_cast<int32_t>(tag));
      batch.tag_ptr.push_back(static_cast<int32_t>(batch.tag_ids.size()));
    }
    return batch;
  };
  const auto cpu = make_engine("cpu")->compile(network, {.batch = 3});
  const auto gpu = make_engine("cuda")->compile(network, {.batch = 3});
  for (const auto& program : {cpu.get(), gpu.get()}) {
    program->load_weights(case_weights(network), "closed form");
  }
  for (const int64_t tags : {1, 16, 17, 1000, 2}) {
    cpu->train_step(with_tags(tags), 0.1F);
    gpu->train_step(with_tags(tags), 0.1F);
    EXPECT_NEAR(gpu->take_loss(), cpu->take_loss(), 1e-5) << tags;
  }
  EXPECT_LT(distance(gpu->weights(), cpu->weights()), 1e-5);
}

// Convolutions that leave the sums of their output change nothing but rounding. Few steps of a
// shallow network: bf16 rounds ReLUs to either side, and that grows.
TEST_F(CudaTraining, SumsFromConvolutionsServeTheNorms) {
  const auto cases = joined_cases();
  const auto found = std::find_if(cases.begin(), cases.end(), [](const OperatorCase& c) {
    return c.name == "two_norms_of_one_conv";
  });
  ASSERT_NE(found, cases.end());
  CompileOptions options;
  options.batch = 16;
  options.precision = Precision::bf16;
  const Trained read = train(*make_engine("cuda"), found->network, options, 3);
  EXPECT_EQ(gpu_counts().convolutions_with_sums, 0);
  gpu_options().offers_sums = true;
  const Trained given = train(*make_engine("cuda"), found->network, options, 3);
  EXPECT_EQ(gpu_counts().convolutions_with_sums, 2);
  for (size_t i = 0; i < read.losses.size(); ++i) {
    EXPECT_NEAR(given.losses[i], read.losses[i], 0.02 * read.losses[i]) << "step " << i;
  }
  EXPECT_GT(distance(given.weights, read.weights), 0);  // it is another way
  EXPECT_LT(distance(given.weights, read.weights), 0.01);
  options.deterministic = true;  // never
  train(*make_engine("cuda"), found->network, options, 1);
  EXPECT_EQ(gpu_counts().convolutions_with_sums, 2);
}

TEST_F(CudaTraining, TooLargeABatchNamesOneThatFits) {
  const Network network = resnet({18, Stem::small, 8, 16}, 7);
  gpu_options().memory = int64_t{24} << 20;
  const auto engine = make_engine("cuda");
  int64_t fits = 0;
  try {
    engine->compile(network, {.batch = 4096});
  } catch (const Error& error) {
    const std::string text = error.what();
    const auto at = text.find("try a batch of ");
    ASSERT_NE(at, std::string::npos) << text;
    fits = std::stol(text.substr(at + 15));
    EXPECT_NE(text.find("4096"), std::string::npos) << text;
  }
  ASSERT_GT(fits, 0);
  EXPECT_NO_THROW(engine->compile(network, {.batch = fits})) << fits;
  EXPECT_THROW(engine->compile(network, {.batch = 2 * fits}), Error) << fits;
  gpu_options().memory = 1 << 20;
  expect_error([&] { make_engine("cuda")->compile(network, {.batch = 8}); }, {"smaller network"});
}

TEST_F(CudaTraining, ProgramsOutliveTheirEngineAndGiveEverythingBack) {
  const Network network = head_case({5, 7}, 8, 7, 4).network;
  const int64_t before = gpu_counts().bytes;
  auto program = make_engine("cuda")->compile(network, {.batch = 4});
  program->load_weights(case_weights(network), "closed form");
  program->train_step(case_batch(network, 4), 0.1F);
  EXPECT_GT(program->take_loss(), 0);
  program->train_step(case_batch(network, 4), 0.1F);  // under way when it ends
  program.reset();
  EXPECT_EQ(gpu_counts().bytes, before);
}

}  // namespace
}  // namespace hardmoe
