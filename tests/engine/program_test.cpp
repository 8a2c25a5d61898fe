// What a Program promises beyond right numbers: the same bytes from the same steps, and checkpoints
// that continue as if never interrupted.
#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "engine/network_facts.h"
#include "engine/operator_cases.h"

namespace hardmoe {
namespace {

/// A network with every kind of operator.
Network small_network() {
  CaseBuilder build({9, 9, 3});
  const int stem = build.relu(build.conv_norm(0, "stem", 10, 3));
  const int pooled = build.max_pool(stem, 3, 2, 1);
  const int inner = build.relu(build.conv_norm(pooled, "inner", 24, 3, 2));
  const int wide = build.conv_norm(inner, "wide", 24, 3);
  const int shortcut = build.conv_norm(pooled, "shortcut", 24, 1, 2);
  return build.finish("", 0, build.relu(build.add(wide, shortcut)), 7).network;
}

std::vector<OptimizerSpec> optimizers() {
  OptimizerSpec sgd;
  sgd.weight_decay = 5e-4F;
  OptimizerSpec averaged = sgd;
  averaged.ema_decay = 0.9F;
  OptimizerSpec adamw = averaged;
  adamw.kind = OptimizerKind::adamw;
  adamw.weight_decay = 0.01F;
  return {sgd, averaged, adamw};
}

class Training : public testing::TestWithParam<Precision> {
 protected:
  Training() : engine(engine_under_test()), network(small_network()) {}

  void SetUp() override {
    if (!engine->supports(GetParam())) GTEST_SKIP() << "this device has no bf16";
  }

  std::unique_ptr<Program> compile(const OptimizerSpec& optimizer) const {
    auto program = engine->compile(network, {.batch = batch_size,
                                             .precision = GetParam(),
                                             .optimizer = optimizer,
                                             .deterministic = true});
    program->load_weights(case_weights(network), "closed form");
    return program;
  }

  /// Steps `first` … `last` − 1; the losses.
  std::vector<double> train(Program& program, int first, int last) const {
    std::vector<double> losses;
    for (int step = first; step < last; ++step) {
      program.train_step(case_batch(network, batch_size, static_cast<uint64_t>(step)), 0.01F);
      losses.push_back(program.take_loss());
    }
    return losses;
  }

  static constexpr int64_t batch_size = 6;
  std::unique_ptr<Engine> engine;
  Network network;
};

void expect_same_bytes(const StateDict& a, const StateDict& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    const Tensor& other = b.at(name);
    ASSERT_EQ(tensor.shape(), other.shape()) << name;
    ASSERT_EQ(tensor.dtype(), other.dtype()) << name;
    EXPECT_EQ(std::memcmp(tensor.data(), other.data(), tensor.bytes()), 0) << name;
  }
}

void expect_same_state(const Program& a, const Program& b) {
  expect_same_bytes(a.weights(), b.weights());
  expect_same_bytes(a.averaged_weights(), b.averaged_weights());
  expect_same_bytes(a.optimizer_state(), b.optimizer_state());
}

TEST_P(Training, TheSameStepsGiveTheSameBytes) {
  for (const auto& optimizer : optimizers()) {
    const auto first = compile(optimizer), second = compile(optimizer);
    EXPECT_EQ(train(*first, 0, 5), train(*second, 0, 5));
    expect_same_state(*first, *second);
    expect_same_bytes(first->gradients(), second->gradients());
  }
}

TEST_P(Training, ACheckpointContinuesWithTheSameBytes) {
  for (const auto& optimizer : optimizers()) {
    const auto whole = compile(optimizer);
    train(*whole, 0, 3);
    const StateDict weights = whole->weights(), state = whole->optimizer_state();
    const auto resumed = compile(optimizer);
    resumed->load_weights(weights, "checkpoint");
    resumed->load_optimizer_state(state, "checkpoint");
    expect_same_state(*whole, *resumed);
    EXPECT_EQ(train(*whole, 3, 6), train(*resumed, 3, 6));
    expect_same_state(*whole, *resumed);
  }
}

TEST_P(Training, LoadingWeightsResetsTheOptimiser) {
  for (const auto& optimizer : optimizers()) {
    const auto used = compile(optimizer), fresh = compile(optimizer);
    train(*used, 0, 3);
    used->load_weights(case_weights(network), "closed form");
    expect_same_state(*used, *fresh);
    EXPECT_EQ(train(*used, 0, 2), train(*fresh, 0, 2));
    expect_same_state(*used, *fresh);
  }
}

TEST_P(Training, LossIsTheMeanSinceItWasLastTaken) {
  const auto program = compile({}), other = compile({});
  EXPECT_EQ(program->take_loss(), 0);
  const auto losses = train(*program, 0, 3);
  for (int step = 0; step < 3; ++step) {
    other->train_step(case_batch(network, batch_size, static_cast<uint64_t>(step)), 0.01F);
  }
  EXPECT_NEAR(other->take_loss(), (losses[0] + losses[1] + losses[2]) / 3, 1e-6);
  EXPECT_EQ(other->take_loss(), 0);
}

TEST_P(Training, RefusedWeightsLeaveThoseThereWere) {
  const auto program = compile({});
  train(*program, 0, 1);
  const StateDict before = program->weights();
  StateDict incomplete = case_weights(network);
  incomplete.erase(incomplete.find("wide.norm.weight"));
  EXPECT_THROW(program->load_weights(incomplete, "incomplete"), Error);
  expect_same_bytes(before, program->weights());
}

// The input itself is no feature of an image.
TEST_P(Training, ANetworkOfImagesWithoutAFeatureGivesNone) {
  Network bare = network;
  bare.feature = 0;
  const auto program =
      engine->compile(bare, {.batch = batch_size, .precision = GetParam(), .mode = Mode::infer});
  program->load_weights(case_weights(bare), "closed form");
  std::vector<float> room(100'000);
  program->send(case_batch(bare, batch_size));
  EXPECT_THROW(program->receive(room, {}), Error);
}

TEST_P(Training, WithoutALearningRateOnlyStatisticsMove) {
  const auto program = compile({});
  const StateDict before = program->weights();
  train(*program, 0, 1);  // moves the weights
  program->load_weights(before, "closed form");
  program->train_step(case_batch(network, batch_size), 0);
  const StateDict after = program->weights();
  for (const auto& spec : parameters_of(network)) {
    const Tensor &a = before.at(spec.name), &b = after.at(spec.name);
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.bytes()) == 0, spec.learned) << spec.name;
  }
}

TEST_P(Training, ProfileNamesTheWork) {
  const auto program = compile({});
  program->set_profiling(true);
  train(*program, 0, 2);
  const auto lines = program->profile();
  ASSERT_FALSE(lines.empty());
  double total = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_FALSE(lines[i].name.empty());
    EXPECT_GE(lines[i].seconds, 0);
    EXPECT_LE(lines[i].seconds, lines[i > 0 ? i - 1 : 0].seconds);
    total += lines[i].seconds;
  }
  EXPECT_GT(total, 0);
}

// Rows of a batch do not see each other in evaluation, and rows beyond the batch are not read.
TEST_P(Training, InferenceTreatsRowsAlone) {
  const int64_t classes = logits_size(network);
  const auto infer = [&](const Batch& batch, int64_t capacity) {
    const auto program =
        engine->compile(network, {.batch = capacity, .precision = GetParam(), .mode = Mode::infer});
    program->load_weights(case_weights(network), "closed form");
    Tensor logits(DType::f32, {capacity, classes});
    program->infer(batch, {}, logits.as<float>());
    return logits;
  };
  const Batch whole = case_batch(network, batch_size);
  Batch part = case_batch(network, batch_size);
  part.size = 2;
  const int64_t pixels = part.input.elements() / batch_size;
  for (auto& value : part.input.as<uint8_t>().subspan(static_cast<size_t>(2 * pixels))) value = 255;
  const Tensor a = infer(whole, batch_size), b = infer(part, batch_size);
  EXPECT_EQ(std::memcmp(a.data(), b.data(), static_cast<size_t>(2 * classes) * sizeof(float)), 0);
}

// Batches on their way give what they give alone, in their order, after the caller has reused their
// memory.
TEST_P(Training, ResultsComeInTheOrderOfTheBatches) {
  const auto program =
      engine->compile(network, {.batch = batch_size, .precision = GetParam(), .mode = Mode::infer});
  program->load_weights(case_weights(network), "closed form");
  const auto room = static_cast<size_t>(batch_size * logits_size(network));
  const auto batch_of = [&](int64_t number) {
    Batch batch = case_batch(network, batch_size);
    for (auto& value : batch.input.as<uint8_t>())
      value = static_cast<uint8_t>(value * (number + 1));
    batch.size = number % 2 == 0 ? batch_size : 2;
    return batch;
  };
  constexpr int64_t batches = 5;
  std::vector<std::vector<float>> expected, found;
  for (int64_t i = 0; i < batches; ++i) {
    program->infer(batch_of(i), {}, expected.emplace_back(room));
  }
  Batch reused;
  int sent = 0;
  for (int64_t i = 0; i < batches; ++i) {
    reused = batch_of(i);
    program->send(reused);
    std::memset(reused.input.data(), 255, reused.input.bytes());
    if (++sent < program->most_in_flight()) continue;
    EXPECT_THROW(program->send(reused), Error);
    program->receive({}, found.emplace_back(room));
    --sent;
  }
  for (; sent > 0; --sent) program->receive({}, found.emplace_back(room));
  EXPECT_EQ(found, expected);
  EXPECT_THROW(program->receive({}, found[0]), Error);
}

INSTANTIATE_TEST_SUITE_P(Precisions, Training, testing::Values(Precision::fp32, Precision::bf16),
                         [](const auto& precision) {
                           return precision.param == Precision::fp32 ? "fp32" : "bf16";
                         });

}  // namespace
}  // namespace hardmoe
