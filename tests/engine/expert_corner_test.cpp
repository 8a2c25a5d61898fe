// Experts in their corners: without rows, with a single one, with undefined numbers; and what is noted of
// how they are used.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "engine/operator_cases.h"

namespace hardmoe {
namespace {

using Floats = std::vector<float>;

constexpr size_t experts = 3, channels = 5, tags = 4;

/// A layer of experts whose gate's logits and values are the input, side by side.
struct Layer {
  CaseBuilder build = CaseBuilder::of_features(experts + channels);
  int64_t chosen;
  int gates, routing, values;

  explicit Layer(int64_t chosen_)
      : chosen(chosen_),
        gates(
            build.top_k(build.linear(0, "logits", experts), {{"k", static_cast<double>(chosen)}})),
        routing(append("route", "gate", {gates}, {{"chosen", static_cast<double>(chosen)}})),
        values(append("dispatch", "", {build.project(0, "values", channels), routing}, {})) {}

  /// An operator of experts; but for route and combine, `experts` is set.
  int append(const std::string& type, const std::string& name, std::vector<int> inputs,
             std::map<std::string, double> attributes) {
    if (type != "route" && type != "combine") attributes["experts"] = experts;
    return build.network.append({type, name, std::move(inputs), std::move(attributes)});
  }
  int norm(int x) { return append("expert_norm", "norm", {x, routing}, {}); }
  int conv(int x) {
    return append("expert_conv", "conv", {x, routing},
                  {{"channels", channels}, {"kernel", 1}, {"stride", 1}, {"padding", 0}});
  }
  int linear(int x) {
    return append("expert_linear", "linear", {x, routing}, {{"channels", channels}});
  }
  Network finish(int y) {
    return build.finish("", 1, append("combine", "", {y, gates, routing}, {}), tags).network;
  }
};

/// Experts of all three operators.
Network deep_experts(int64_t chosen) {
  Layer layer(chosen);
  return layer.finish(layer.linear(layer.norm(layer.conv(layer.values))));
}

/// The closed form, but that logits and values are the input's.
StateDict weights_of(const Network& network) {
  StateDict weights = case_weights(network);
  size_t column = 0;
  for (const auto& [name, rows] : {std::pair{"logits", experts}, std::pair{"values", channels}}) {
    const auto matrix = weights.at(std::string(name) + ".weight").as<float>();
    const auto bias = weights.at(std::string(name) + ".bias").as<float>();
    std::fill(matrix.begin(), matrix.end(), 0.0F);
    std::fill(bias.begin(), bias.end(), 0.0F);
    for (size_t row = 0; row < rows; ++row) matrix[row * (experts + channels) + column++] = 1;
  }
  for (float& usage : weights.at("gate.usage").as<float>()) usage = 1.0F / experts;
  return weights;
}

std::unique_ptr<Program> compiled(const Network& network, CompileOptions options) {
  auto program = engine_under_test()->compile(network, options);
  program->load_weights(weights_of(network), "closed form");
  return program;
}

/// Rows of these logits, with values drawn at random.
Batch batch_of(const std::vector<Floats>& logits, uint64_t stream = 0) {
  Random random(3, RandomUse::test, stream);
  Batch batch;
  batch.size = std::ssize(logits);
  batch.input = Tensor(DType::f32, {batch.size, experts + channels});
  float* to = batch.input.as<float>().data();
  for (size_t row = 0; row < logits.size(); ++row) {
    to = std::copy(logits[row].begin(), logits[row].end(), to);
    to = std::generate_n(to, channels, [&] { return random.normal(); });
    batch.tag_ids.push_back(static_cast<int32_t>(row % tags));
    batch.tag_ptr.push_back(static_cast<int32_t>(row) + 1);
  }
  return batch;
}

Floats floats(const StateDict& state, const std::string& name) {
  const auto values = state.at(name).as<float>();
  return {values.begin(), values.end()};
}

bool is_of_second_expert(const std::string& name) { return name.find(".1.") != std::string::npos; }

void expect_no_gradients_of_second_expert(const Program& program) {
  int found = 0;
  for (const auto& [name, gradient] : program.gradients()) {
    if (!is_of_second_expert(name)) continue;
    ++found;
    for (const float value : gradient.as<float>()) ASSERT_EQ(value, 0) << name;
  }
  EXPECT_EQ(found, 5);  // weights of three operators, biases of two
}

TEST(Experts, WithoutRowsStayAsTheyAre) {
  const Network network = deep_experts(2);
  const Batch without = batch_of({{3, 0, 2}, {1, -1, 2}, {2, 1, 3}, {5, 0, 1}}),
              with = batch_of({{0, 3, 2}, {1, 2, -1}, {3, 2, 1}, {0, 1, 2}});
  const auto program = compiled(network, {.batch = 4});
  const StateDict before = program->weights();
  for (int step = 0; step < 20; ++step) {
    program->train_step(without, 0.01F);
    expect_no_gradients_of_second_expert(*program);
  }
  const StateDict after = program->weights();
  for (const auto& [name, tensor] : before) {
    if (name.starts_with("conv.") || name.starts_with("norm.") || name.starts_with("linear.")) {
      EXPECT_EQ(floats(after, name) == floats(before, name), is_of_second_expert(name)) << name;
    }
  }
  // Gradients of a step before are not left over; statistics are those of that step.
  program->train_step(with, 0.01F);
  const StateDict used = program->weights();
  for (const char* name : {"conv.1.weight", "norm.1.running_mean", "norm.1.running_var"}) {
    EXPECT_NE(floats(used, name), floats(before, name)) << name;
  }
  program->train_step(without, 0.01F);
  expect_no_gradients_of_second_expert(*program);
  EXPECT_TRUE(std::isfinite(program->take_loss()));
  for (const char* name : {"norm.1.running_mean", "norm.1.running_var"}) {
    EXPECT_EQ(floats(program->weights(), name), floats(used, name)) << name;
  }
}

/// The softmax loss of the tag 0, of logits that the head makes of `feature`.
double loss_of(const Floats& feature, const StateDict& weights) {
  const Floats matrix = floats(weights, "fc.weight"), bias = floats(weights, "fc.bias");
  double sum = 0, first = 0;
  for (size_t tag = 0; tag < tags; ++tag) {
    double score = double{bias[tag]};
    for (size_t c = 0; c < channels; ++c) {
      score += double{matrix[tag * channels + c]} * double{feature[c]};
    }
    if (tag == 0) first = score;
    sum += std::exp(score);
  }
  return std::log(sum) - first;
}

TEST(Experts, OfOneRowNormaliseItToTheirBias) {
  Layer layer(1);
  const Network network = layer.finish(layer.norm(layer.values));
  const auto program = compiled(network, {.batch = 1});
  const StateDict before = program->weights();
  const Batch batch = batch_of({{0, 4, 1}});
  program->train_step(batch, 0);
  EXPECT_NEAR(program->take_loss(), loss_of(floats(before, "norm.1.bias"), before), 1e-4);

  const StateDict after = program->weights(), gradients = program->gradients();
  for (size_t c = 0; c < channels; ++c) {
    const auto moved = [&](const std::string& name) { return floats(after, name)[c]; };
    const auto from = [&](const std::string& name) { return floats(before, name)[c]; };
    const float value = batch.input.as<float>()[experts + c];
    EXPECT_EQ(moved("norm.1.running_var"), from("norm.1.running_var"));  // one row has none
    EXPECT_NEAR(moved("norm.1.running_mean"), 0.9F * from("norm.1.running_mean") + 0.1F * value,
                1e-6);
    EXPECT_EQ(moved("norm.0.running_var"), from("norm.0.running_var"));
    EXPECT_NEAR(floats(gradients, "norm.1.weight")[c], 0, 1e-6);
    EXPECT_NE(floats(gradients, "norm.1.bias")[c], 0);
  }
  for (const float slope : gradients.at("values.weight").as<float>()) EXPECT_NEAR(slope, 0, 1e-4);
}

/// Logits of rows, all different.
std::vector<Floats> random_logits(size_t rows, uint64_t stream) {
  Random random(4, RandomUse::test, stream);
  std::vector<Floats> logits(rows, Floats(experts));
  for (Floats& row : logits) {
    std::generate(row.begin(), row.end(), [&] { return random.normal(); });
  }
  return logits;
}

TEST(Experts, LeaveAnUndefinedValueInItsRow) {
  constexpr size_t rows = 9, undefined_row = 4;
  const Network network = deep_experts(2);
  const auto features_of = [&](const Batch& batch) {
    Floats features(rows * channels);
    compiled(network, {.batch = rows, .mode = Mode::infer})->infer(batch, features, {});
    return features;
  };
  const Batch defined = batch_of(random_logits(rows, 0));
  Batch undefined = defined;
  undefined.input = defined.input.clone();
  std::fill_n(undefined.input.as<float>().data() + undefined_row * (experts + channels),
              experts + channels, std::numeric_limits<float>::quiet_NaN());
  const Floats expected = features_of(defined), found = features_of(undefined);
  for (size_t i = 0; i < expected.size(); ++i) {
    if (i / channels == undefined_row) {
      EXPECT_TRUE(std::isnan(found[i])) << i;
    } else {
      EXPECT_NEAR(found[i], expected[i], 1e-5) << i;
    }
  }
  // In training the loss says so, and every row still has its experts.
  const auto program = compiled(network, {.batch = rows});
  program->train_step(undefined, 0);
  EXPECT_TRUE(std::isnan(program->take_loss()));
  const Floats usage = floats(program->weights(), "gate.usage");
  EXPECT_NEAR(std::accumulate(usage.begin(), usage.end(), 0.0), 1, 1e-6);
}

/// The rows that each expert is given: a row's `chosen` largest logits.
std::vector<double> rows_of_experts(const std::vector<Floats>& logits, size_t chosen) {
  std::vector<double> counts(experts, 0.0);
  for (const Floats& row : logits) {
    for (size_t e = 0; e < experts; ++e) {
      const auto larger =
          std::count_if(row.begin(), row.end(), [&](float v) { return v > row[e]; });
      if (static_cast<size_t>(larger) < chosen) ++counts[e];
    }
  }
  return counts;
}

TEST(Experts, HaveTheRunningShareOfTheirRowsNoted) {
  constexpr size_t rows = 11;
  for (const size_t chosen : {size_t{1}, size_t{2}, experts}) {
    const Network network = deep_experts(static_cast<int64_t>(chosen));
    const auto program = compiled(network, {.batch = rows});
    const auto choices = static_cast<double>(rows * chosen);
    std::vector<double> expected(experts, 1.0 / experts);
    for (uint64_t step = 0; step < 4; ++step) {
      const auto logits = random_logits(rows, step);
      const auto counts = rows_of_experts(logits, chosen);
      ASSERT_EQ(std::accumulate(counts.begin(), counts.end(), 0.0), choices);
      program->train_step(batch_of(logits, step), 0);
      const Floats usage = floats(program->weights(), "gate.usage");
      for (size_t e = 0; e < experts; ++e) {
        const double before = expected[e];
        expected[e] = 0.99 * before + 0.01 * counts[e] / choices;
        EXPECT_NEAR(usage[e], expected[e], 1e-6) << chosen << " chosen, expert " << e;
      }
    }
    const auto answering = compiled(network, {.batch = rows, .mode = Mode::infer});
    Floats features(rows * channels);
    answering->infer(batch_of(random_logits(rows, 0)), features, {});
    EXPECT_EQ(floats(answering->weights(), "gate.usage"), Floats(experts, 1.0F / experts));
  }
}

}  // namespace
}  // namespace hardmoe
