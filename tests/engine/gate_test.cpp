// A gate's operators in their corners: ties, masks, room, undefined numbers, batches that are not
// full; and that noise and masks go on after an interruption as if there had been none.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/gate_noise.h"
#include "engine/operator_cases.h"
#include "engine/reference_network.h"
#include "expect_error.h"

namespace hardmoe {
namespace {

using Floats = std::vector<float>;

constexpr float undefined = std::numeric_limits<float>::quiet_NaN();

Batch batch_of(const Floats& rows, int64_t width, int64_t capacity = 0) {
  Batch batch;
  batch.size = std::ssize(rows) / width;
  batch.input = Tensor(DType::f32, {std::max(batch.size, capacity), width});
  std::copy(rows.begin(), rows.end(), batch.input.as<float>().begin());
  for (int32_t i = 0; i < batch.size; ++i) {
    batch.tag_ids.push_back(i % 3);
    batch.tag_ptr.push_back(i + 1);
  }
  return batch;
}

/// A gate whose values are the input itself, `feature`, before a linear layer.
struct Gate {
  CaseBuilder build;
  explicit Gate(int64_t experts) : build(CaseBuilder::of_features(experts)) {}
  Network finish(int gates) {
    build.network.feature = gates;
    build.network.logits = build.linear(gates, "fc", 3);
    return build.network;
  }
};

std::unique_ptr<Program> compiled(const Network& network, CompileOptions options) {
  auto program = engine_under_test()->compile(network, options);
  program->load_weights(case_weights(network), "closed form");
  return program;
}

/// The gates of rows, in inference.
Floats gates_of(const Network& network, const Floats& rows) {
  const Batch batch = batch_of(rows, network.extent.channels);
  Floats gates(rows.size());
  compiled(network, {.batch = batch.size, .mode = Mode::infer})->infer(batch, gates, {});
  return gates;
}

Network top_k_of(int64_t experts, std::map<std::string, double> attributes) {
  Gate gate(experts);
  return gate.finish(gate.build.top_k(0, std::move(attributes)));
}

Network capacity_of_input(int64_t experts, std::map<std::string, double> attributes) {
  Gate gate(experts);
  const double k = attributes.at("k");
  const int gates = gate.build.top_k(0, {{"k", k}, {"softmax", 0}});
  return gate.finish(gate.build.capacity(gates, std::move(attributes)));
}

TEST(TopK, OfEqualValuesTheLowerNumbersAreChosen) {
  EXPECT_EQ(gates_of(top_k_of(4, {{"k", 2}}), {1, 1, 1, 1, 0, 2, 2, 2, 3, 0, 3, 0}),
            (Floats{0.5F, 0.5F, 0, 0, 0, 0.5F, 0.5F, 0, 0.5F, 0, 0.5F, 0}));
}

TEST(TopK, AnUndefinedValueIsChosenAndStaysUndefined) {
  for (const int softmax : {0, 1}) {
    const Floats gates =
        gates_of(top_k_of(3, {{"k", 1}, {"softmax", softmax}}), {1, undefined, 9, 0.25F, 0.5F, 1});
    EXPECT_TRUE(std::isnan(gates[1]));
    EXPECT_EQ(gates[0], 0);
    EXPECT_EQ(gates[2], 0);
    EXPECT_EQ(Floats(gates.begin() + 3, gates.end()), (Floats{0, 0, 1}));
  }
}

// moe_test.py of google-research/vmoe: three tokens, three experts, room for two each. Here every
// token comes twice, and there is room for four.
TEST(Capacity, ServesFirstChoicesFirstAsThePublishedCasesDo) {
  const Floats rows = {.4F, 0,   .2F, .4F, 0,   .2F, .5F, .1F, .4F,
                       .5F, .1F, .4F, .3F, .2F, .6F, .3F, .2F, .6F};
  std::map<std::string, double> attributes = {{"k", 2}, {"factor", 1}, {"group", 6}};
  EXPECT_EQ(gates_of(capacity_of_input(3, attributes), rows),
            (Floats{.4F, 0, .2F, .4F, 0, .2F, .5F, 0, 0, .5F, 0, 0, 0, 0, .6F, 0, 0, .6F}));
  attributes["priority"] = 2;
  EXPECT_EQ(gates_of(capacity_of_input(3, attributes), rows),
            (Floats{.4F, 0, 0, .4F, 0, 0, .5F, 0, .4F, .5F, 0, .4F, 0, 0, .6F, 0, 0, .6F}));
  attributes["priority"] = 1;  // in training only
  EXPECT_EQ(gates_of(capacity_of_input(3, attributes), rows)[2], .2F);
}

TEST(Capacity, IsRoundedUpToAMultipleOfFour) {
  EXPECT_EQ(capacity_of(32, 2, 1, 32), 4);  // as moe_test.py
  EXPECT_EQ(capacity_of(16, 1, 1, 4), 4);
  EXPECT_EQ(capacity_of(16, 1, 1.05, 4), 8);
  EXPECT_EQ(capacity_of(196, 2, 1.05, 8), 52);
  EXPECT_EQ(capacity_of(1, 1, 0.01, 8), 4);
}

// One image, as prediction has it, has room for all its rows.
TEST(Capacity, OfGroupsOfOneRowDropsNothing) {
  const Floats rows = {1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0};
  EXPECT_EQ(gates_of(capacity_of_input(2, {{"k", 1}, {"factor", 1}}), rows), rows);
  const Floats together =
      gates_of(capacity_of_input(2, {{"k", 1}, {"factor", 1}, {"group", 9}}), rows);
  EXPECT_EQ(together, (Floats{1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0}));
}

/// Gates of which many are equal.
Floats coarse_gates(size_t count) {
  Random random(7, RandomUse::test);
  Floats gates(count);
  for (float& gate : gates) gate = static_cast<float>(1 + random.below(12)) / 16;
  return gates;
}

Floats to_float(const Doubles& values) { return {values.begin(), values.end()}; }

TEST(TopK, OfManyExpertsEqualsTheDefinition) {
  constexpr size_t experts = 40;
  const Floats rows = coarse_gates(300 * experts);
  const Network network = top_k_of(experts, {{"k", 7}, {"softmax", 0}});
  EXPECT_EQ(gates_of(network, rows),
            to_float(reference_top_k(network.ops[0], {rows.begin(), rows.end()}, experts, {})));
}

// More rows than a block of threads has, in groups of which the last is smaller.
TEST(Capacity, OfManyRowsEqualsTheDefinition) {
  constexpr size_t experts = 5;
  const Floats rows = coarse_gates(900 * experts);
  for (const int priority : {0, 2}) {
    for (const size_t group : {130, 700, 2000}) {
      const Network network = capacity_of_input(experts, {{"k", 3},
                                                          {"factor", 0.75},
                                                          {"group", static_cast<double>(group)},
                                                          {"priority", priority}});
      const Doubles chosen =
          reference_top_k(network.ops[0], {rows.begin(), rows.end()}, experts, {});
      EXPECT_EQ(gates_of(network, rows),
                to_float(reference_capacity(network.ops[1], chosen, experts, group, false)));
    }
  }
}

TEST(Capacity, OfEqualPriorityTheEarlierRowIsServed) {
  const Floats rows(14, 0.5F);
  const Floats gates = gates_of(
      capacity_of_input(2, {{"k", 1}, {"factor", 0.5}, {"group", 7}, {"priority", 2}}), rows);
  EXPECT_EQ(gates, (Floats{.5F, 0, .5F, 0, .5F, 0, .5F, 0, 0, 0, 0, 0, 0, 0}));
}

// It stays, takes no room, and leaves the order of the others as it is.
TEST(Capacity, AnUndefinedGateStays) {
  Floats rows = {1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, undefined, undefined, 0};
  for (const int priority : {0, 2}) {
    const Floats gates = gates_of(
        capacity_of_input(2, {{"k", 1}, {"factor", 0.5}, {"group", 7}, {"priority", priority}}),
        rows);
    EXPECT_TRUE(std::isnan(gates[11]));
    EXPECT_TRUE(std::isnan(gates[12]));
    const Floats kept = priority == 0 ? Floats{1, 2, 3, 4, 0, 0} : Floats{0, 2, 3, 4, 5, 0};
    for (size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(gates[2 * i], kept[i]) << i;
  }
}

// Rows of the batch before lie in memory behind those of a smaller one: they take no room.
TEST(Capacity, CountsTheRowsOfTheBatchOnly) {
  const Network network =
      capacity_of_input(3, {{"k", 2}, {"factor", 1}, {"group", 9}, {"priority", 2}});
  const auto program = compiled(network, {.batch = 9, .mode = Mode::infer});
  Random random(5, RandomUse::test);
  const auto drawn = [&](int64_t count) {
    Floats values(static_cast<size_t>(3 * count));
    for (float& value : values) value = random.uniform() + 0.01F;
    return values;
  };
  Floats gates(27);
  program->infer(batch_of(Floats(27, 5.0F), 3), gates, {});
  const Floats rows = drawn(7);
  program->infer(batch_of(rows, 3, 9), gates, {});
  gates.resize(rows.size());
  EXPECT_EQ(gates, gates_of(network, rows));
}

// ---- what they refuse ----

TEST(Gates, RefuseWhatCannotBe) {
  const auto refused = [](const Network& network, const std::vector<std::string>& words) {
    expect_error([&] { value_types(network); }, words);
  };
  refused(top_k_of(3, {{"k", 4}}), {"gate", "k is 4", "1 to 3"});
  refused(top_k_of(3, {{"k", 0}}), {"gate", "k is 0"});
  refused(top_k_of(3, {{"k", 1}, {"constraint", 3}}), {"constraint 3", "0 (none)"});
  refused(top_k_of(3, {{"k", 1}, {"group", 3}}), {"no attribute 'group'"});
  refused(capacity_of_input(3, {{"k", 2}, {"factor", 0}}), {"capacity", "factor of 0", "no room"});
  refused(capacity_of_input(3, {{"k", 2}, {"factor", -1}}), {"factor of -1", "no room"});
  refused(capacity_of_input(3, {{"k", 2}}), {"'factor' is missing"});
  refused(capacity_of_input(3, {{"k", 2}, {"factor", 1}, {"group", 0.5}}), {"groups of 0.5"});
  refused(capacity_of_input(3, {{"k", 2}, {"factor", 1}, {"priority", 4}}), {"priority 4"});
  Gate gate(3);
  refused(gate.finish(gate.build.noise(0, -1)), {"noise", "-1", "0 or more"});
  CaseBuilder maps({4, 4, 3});
  maps.softmax(maps.conv(0, "conv", 8, 3));
  refused(maps.network, {"takes a gate's values"});
  Gate shapes(3);
  shapes.build.scaled_noise(0, shapes.build.linear(0, "deviation", 4));
  refused(shapes.build.network, {"noise", "different shapes"});
}

// ---- hard constraints ----

constexpr double relative = 1, mean = 2;

/// Trains on rows without learning, and returns the running statistic.
Floats running_after(Program& program, const Floats& rows, int64_t experts) {
  program.train_step(batch_of(rows, experts), 0);
  const StateDict weights = program.weights();
  const auto running = weights.at("gate.running").as<float>();
  return {running.begin(), running.end()};
}

std::unique_ptr<Program> constrained(const Network& network, int64_t batch, const Floats& running,
                                     float steps) {
  StateDict weights = case_weights(network);
  std::copy(running.begin(), running.end(), weights.at("gate.running").as<float>().begin());
  weights.at("gate.steps").as<float>()[0] = steps;
  auto program = engine_under_test()->compile(network, {.batch = batch});
  program->load_weights(weights, "closed form");
  return program;
}

TEST(HardConstraints, AMaskedExpertGetsNothingUntilItsShareIsDown) {
  const Floats rows = {5, 1, 0, 5, 1, 0};  // the first expert is everybody's first choice
  const auto program =
      constrained(top_k_of(3, {{"k", 1}, {"constraint", relative}}), 2, {0, 0, 0}, 0);
  EXPECT_EQ(running_after(*program, rows, 3), (Floats{2, -1, -1}));  // (2 − 2/3)/(2/3)
  EXPECT_EQ(running_after(*program, rows, 3), (Floats{1, 1, -2}));   // masked: the second one's
  EXPECT_EQ(running_after(*program, rows, 3), (Floats{0, 0, 0}));    // both masked
  EXPECT_EQ(running_after(*program, rows, 3), (Floats{2, -1, -1}));
  EXPECT_EQ(program->weights().at("gate.steps").as<float>()[0], 4);
  const auto averaged = constrained(top_k_of(3, {{"k", 1}, {"constraint", mean}}), 2, {0, 0, 0}, 0);
  EXPECT_EQ(running_after(*averaged, rows, 3), (Floats{1, 0, 0}));
  EXPECT_EQ(running_after(*averaged, rows, 3), (Floats{0.5F, 0.5F, 0}));  // above 1/3 + 0.3
  EXPECT_NEAR(running_after(*averaged, rows, 3)[0], 2.0 / 3, 1e-6);       // no longer
}

TEST(HardConstraints, IfAllWouldBeMaskedNoneIs) {
  for (const double constraint : {relative, mean}) {
    const auto network = top_k_of(3, {{"k", 1}, {"constraint", constraint}});
    const Floats rows = {5, 1, 0, 0, 1, 5};
    const auto program = constrained(network, 2, {9, 9, 9}, 1);
    const Floats running = running_after(*program, rows, 3);
    EXPECT_GT(running[0], running[1]);
    EXPECT_EQ(running[0], running[2]);
    const auto free = constrained(network, 2, {0, 0, 0}, 1);
    running_after(*free, rows, 3);
    EXPECT_EQ(program->take_loss(), free->take_loss());
  }
}

// Two experts for a row where one is left: that one's gate is 1.
TEST(HardConstraints, FewerExpertsThanChoicesLeaveFewerGates) {
  const auto program =
      constrained(top_k_of(3, {{"k", 2}, {"constraint", relative}}), 1, {9, 9, -9}, 1);
  EXPECT_EQ(running_after(*program, {5, 1, 0}, 3), (Floats{8, 8, -7}));
  EXPECT_TRUE(std::isfinite(program->take_loss()));
}

TEST(HardConstraints, AreTrainingsOnly) {
  const Network network = top_k_of(3, {{"k", 1}, {"constraint", relative}});
  StateDict weights = case_weights(network);
  weights.at("gate.running").as<float>()[0] = 9;
  const auto program = engine_under_test()->compile(network, {.batch = 1, .mode = Mode::infer});
  program->load_weights(weights, "closed form");
  Floats gates(3);
  program->infer(batch_of({5, 1, 0}, 3), gates, {});
  EXPECT_EQ(gates, (Floats{1, 0, 0}));
  EXPECT_EQ(program->weights().at("gate.running").as<float>()[0], 9);
}

TEST(Gates, AnUndefinedValueMakesTheLossUndefined) {
  Gate gate(4);
  auto& b = gate.build;
  const int gates = b.top_k(b.softmax(0), {{"k", 2}, {"softmax", 0}, {"constraint", relative}});
  const Network network =
      gate.finish(b.capacity(gates, {{"k", 2}, {"factor", 1}, {"priority", 1}}));
  const auto program = engine_under_test()->compile(network, {.batch = 8});
  for (const size_t place : {0, 17, 31, 32}) {
    Floats rows(32, 0.5F);
    if (place < rows.size()) rows[place] = undefined;
    program->load_weights(case_weights(network), "closed form");
    program->train_step(batch_of(rows, 4), 0);
    EXPECT_EQ(std::isnan(program->take_loss()), place < rows.size());
  }
}

// ---- noise ----

TEST(Noise, IsTheDefinitionsAndNormal) {
  const NoiseKey key = {0x123456789ABCDEF0, 7, 3};
  const Doubles expected = reference_noise(key.seed, key.step, key.op, 40'001);
  double sum = 0, squares = 0, fourth = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto found = double{noise_at(key, static_cast<int64_t>(i))};
    ASSERT_NEAR(found, expected[i], 3e-6) << i;
    sum += found;
    squares += found * found;
    fourth += std::pow(found, 4);
  }
  const double n = static_cast<double>(expected.size()), root = std::sqrt(n);
  EXPECT_NEAR(sum / n, 0, 4 / root);
  EXPECT_NEAR(squares / n, 1, 4 * std::sqrt(2) / root);
  EXPECT_NEAR(fourth / n, 3, 4 * std::sqrt(96) / root);
}

/// Everything that draws, and a gate that remembers or not.
Network drawing_network(double constraint) {
  auto build = CaseBuilder::of_features(24);
  const int x = build.linear(0, "below", 6);
  const int sigma = build.softplus(build.linear(0, "deviation", 6), 0, 0.01);
  const int noisy = build.noise(build.scaled_noise(x, sigma), 0.5);
  const int gates = build.top_k(noisy, {{"k", 2}, {"constraint", constraint}, {"limit", 0.1}});
  build.network.logits = build.linear(gates, "fc", 7);
  return build.network;
}

StateDict started(const Network& network) {
  StateDict weights = case_weights(network);
  for (auto& [name, tensor] : weights) {
    if (name.starts_with("gate.")) std::ranges::fill(tensor.as<float>(), 0.0F);
  }
  return weights;
}

struct Trained {
  Doubles losses;
  StateDict weights, state;
};

Trained train(Program& program, const Network& network, uint64_t first, uint64_t last) {
  Trained run;
  for (uint64_t step = first; step < last; ++step) {
    program.train_step(case_batch(network, 12, step), 0.05F);
    run.losses.push_back(program.take_loss());
  }
  run.weights = program.weights();
  run.state = program.optimizer_state();
  return run;
}

void expect_same_bytes(const StateDict& a, const StateDict& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    EXPECT_EQ(std::memcmp(tensor.data(), b.at(name).data(), tensor.bytes()), 0) << name;
  }
}

TEST(Noise, AndConstraintsGoOnAfterAnInterruptionWithTheSameBytes) {
  const Network network = drawing_network(mean);
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    const auto engine = engine_under_test();
    if (!engine->supports(precision)) continue;
    const CompileOptions options = {
        .batch = 12, .precision = precision, .deterministic = true, .seed = 11};
    const auto whole = engine->compile(network, options);
    whole->load_weights(started(network), "closed form");
    const Trained half = train(*whole, network, 0, 4);
    const auto resumed = engine->compile(network, options);
    resumed->load_weights(half.weights, "checkpoint");
    resumed->load_optimizer_state(half.state, "checkpoint");
    const Trained first = train(*whole, network, 4, 9), second = train(*resumed, network, 4, 9);
    EXPECT_EQ(first.losses, second.losses);
    expect_same_bytes(first.weights, second.weights);
    expect_same_bytes(first.state, second.state);
    EXPECT_EQ(first.weights.at("gate.steps").as<float>()[0], 9);
  }
}

TEST(Noise, IsTheSeedsAndTheStepsAndTheSameOnEveryDevice) {
  const Network network = drawing_network(0);
  const auto trained = [&](Engine& engine, uint64_t seed) {
    const auto program = engine.compile(network, {.batch = 12, .seed = seed});
    program->load_weights(started(network), "closed form");
    return train(*program, network, 0, 3);
  };
  const auto engine = engine_under_test();
  const Trained one = trained(*engine, 1), two = trained(*engine, 2);
  EXPECT_NE(one.losses[0], two.losses[0]);
  const Trained cpu = trained(*make_engine("cpu"), 1);
  for (size_t i = 0; i < cpu.losses.size(); ++i) EXPECT_NEAR(one.losses[i], cpu.losses[i], 1e-5);

  // The same batch and the same weights twice: other noise.
  const auto program = engine->compile(network, {.batch = 12});
  program->load_weights(started(network), "closed form");
  const auto loss = [&] {
    program->train_step(case_batch(network, 12), 0);
    return program->take_loss();
  };
  EXPECT_NE(loss(), loss());
}

TEST(Noise, IsTrainingsOnly) {
  Gate gate(3);
  auto& b = gate.build;
  const Floats rows = {5, 1, 0, -1, 2, 3};
  EXPECT_EQ(gates_of(gate.finish(b.noise(b.scaled_noise(0, b.softplus(0, 0, 0)), 3)), rows), rows);
}

}  // namespace
}  // namespace hardmoe
