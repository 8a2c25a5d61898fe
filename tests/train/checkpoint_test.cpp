// A checkpoint brings back all that the next step depends on, and says what is wrong with a bad
// one.
#include "train/checkpoint.h"

#include "base/files.h"
#include "engine/network_facts.h"
#include "expect_error.h"
#include "temporary_folder.h"
#include "train/toy_training.h"
#include "train/trainer.h"

namespace hardmoe {
namespace {

class Checkpoint : public testing::Test {
 protected:
  Checkpoint() : engine(make_engine("cpu")), file(checkpoint_file(folder.path())) {}

  std::unique_ptr<Program> program_for(const Network& network) const {
    TrainConfig config = toy_config();
    config.optimizer = OptimizerKind::adamw;
    config.ema = 0.9;
    auto program = engine->compile(network, training_options(config));
    program->load_weights(initial_weights(network, 1), "fresh");
    return program;
  }

  void save_some() const {
    const auto program = program_for(toy_network());
    ToySource source;
    source.start(0, 0);
    for (int i = 0; i < 3; ++i) program->train_step(*source.next(), 0.1F);
    save_checkpoint(file, *program, {3, 0.75, 3, 1.5, 2.5});
  }

  TemporaryFolder folder;
  std::unique_ptr<Engine> engine;
  std::filesystem::path file;
};

TEST_F(Checkpoint, BringsBackWeightsMomentsAveragesAndPosition) {
  const auto program = program_for(toy_network());
  ToySource source;
  source.start(0, 0);
  for (int i = 0; i < 3; ++i) program->train_step(*source.next(), 0.1F);
  save_checkpoint(file, *program, {3, 0.75, 2, 1.5, 2.25});

  const auto other = program_for(toy_network());
  const auto position = load_checkpoint(file, *other);
  ASSERT_TRUE(position.has_value());
  EXPECT_EQ(position->step, 3);
  EXPECT_EQ(position->loss_sum, 0.75);
  EXPECT_EQ(position->loss_steps, 2);
  EXPECT_EQ(position->last_loss, 1.5);
  EXPECT_EQ(position->seconds, 2.25);
  expect_same_bytes(other->weights(), program->weights());
  expect_same_bytes(other->averaged_weights(), program->averaged_weights());
  expect_same_bytes(other->optimizer_state(), program->optimizer_state());
}

TEST_F(Checkpoint, AnAbsentOneIsNoError) {
  EXPECT_FALSE(load_checkpoint(file, *program_for(toy_network())).has_value());
}

TEST_F(Checkpoint, AFileCutOffIsNamed) {
  save_some();
  const std::string bytes = read_file(file);
  for (const size_t size : {size_t{0}, size_t{7}, size_t{100}, bytes.size() - 1}) {
    write_file_atomic(file, bytes.substr(0, size));
    expect_error([&] { load_checkpoint(file, *program_for(toy_network())); }, {file.string()});
  }
}

TEST_F(Checkpoint, OneOfAnotherNetworkIsRefused) {
  save_some();
  expect_error([&] { load_checkpoint(file, *program_for(linear_decoder(6, 5))); },
               {file.string(), "fc.", "expected"});
}

TEST_F(Checkpoint, AnotherSafetensorsFileIsNoCheckpoint) {
  save_safetensors(file, initial_weights(toy_network(), 1), {{"format", "pt"}});
  expect_error([&] { load_checkpoint(file, *program_for(toy_network())); },
               {file.string(), "not a checkpoint"});
}

}  // namespace
}  // namespace hardmoe
