// The losses that keep a gate's experts equally busy: published values, their definitions in double
// precision with gradients by central differences, corners, and what they refuse.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "engine/operator_cases.h"
#include "engine/reference_network.h"
#include "expect_error.h"

namespace hardmoe {
namespace {

using Floats = std::vector<float>;

LossSpec importance(int gates, int ddof, float weight = 1) {
  LossSpec spec{.kind = LossKind::importance, .weight = weight, .value = gates};
  spec.name = "importance";
  spec.ddof = ddof;
  return spec;
}
LossSpec divergence(int gates, float weight = 1) {
  LossSpec spec{.kind = LossKind::divergence, .weight = weight, .value = gates};
  spec.name = "divergence";
  return spec;
}
LossSpec load(int clean, int noisy, int k, bool excluding, float weight = 1) {
  LossSpec spec{.kind = LossKind::load, .weight = weight, .value = clean};
  spec.name = "load";
  spec.k = k;
  spec.noisy = noisy;
  spec.excluding = excluding;
  return spec;
}

Batch rows_of(const Floats& rows, int64_t width) {
  Batch batch;
  batch.size = std::ssize(rows) / width;
  batch.input = Tensor(DType::f32, {batch.size, width});
  std::copy(rows.begin(), rows.end(), batch.input.as<float>().begin());
  batch.tag_ptr.assign(static_cast<size_t>(batch.size) + 1, 0);
  return batch;
}

/// The values of the losses after one step on rows, beside the loss against tags.
Doubles losses_of(const Network& network, const StateDict& weights, std::vector<LossSpec> losses,
                  const Batch& batch) {
  losses.insert(losses.begin(), LossSpec{});
  const auto program =
      engine_under_test()->compile(network, {.batch = batch.size, .losses = std::move(losses)});
  program->load_weights(weights, "closed form");
  program->train_step(batch, 0);
  const auto found = program->take_losses();
  return {found.begin() + 1, found.end()};
}

/// The input itself is a gate's values.
Network gates_are_the_input(int64_t experts) {
  auto build = CaseBuilder::of_features(experts);
  build.network.logits = build.linear(0, "fc", 3);
  return build.network;
}

/// Two gates' values side by side in the input, taken apart by linear layers.
struct TwoHalves {
  Network network;
  StateDict weights;
  int first = 0, second = 0;

  explicit TwoHalves(int64_t experts) {
    auto build = CaseBuilder::of_features(2 * experts);
    first = build.linear(0, "first", experts);
    second = build.linear(0, "second", experts);
    build.network.logits = build.linear(0, "fc", 3);
    network = build.network;
    weights = case_weights(network);
    for (const char* name : {"first", "second"}) {
      for (float& v : weights.at(std::string(name) + ".bias").as<float>()) v = 0;
      const auto matrix = weights.at(std::string(name) + ".weight").as<float>();
      std::fill(matrix.begin(), matrix.end(), 0.0F);
      const int64_t from = name == std::string("first") ? 0 : experts;
      for (int64_t i = 0; i < experts; ++i) {
        matrix[static_cast<size_t>(i * 2 * experts + from + i)] = 1;
      }
    }
  }
  static Batch batch(const Floats& a, const Floats& b, size_t experts) {
    Floats rows;
    for (size_t row = 0; row < a.size(); row += experts) {
      rows.insert(rows.end(), a.begin() + static_cast<ptrdiff_t>(row),
                  a.begin() + static_cast<ptrdiff_t>(row + experts));
      rows.insert(rows.end(), b.begin() + static_cast<ptrdiff_t>(row),
                  b.begin() + static_cast<ptrdiff_t>(row + experts));
    }
    return rows_of(rows, static_cast<int64_t>(2 * experts));
  }
};

// routing_test.py of google-research/vmoe.
TEST(GateLosses, EqualThePublishedValues) {
  const Floats gates = {.5F, .4F, .1F, .3F, .3F, .4F, .1F, .2F, .7F, .8F, .2F, .0F};
  const Network network = gates_are_the_input(3);
  const auto found = losses_of(network, case_weights(network), {importance(0, 0), importance(0, 1)},
                               rows_of(gates, 3));
  EXPECT_NEAR(found[0], 0.03874999, 1e-7);
  EXPECT_NEAR(found[1], 1.5 * 0.03874999, 1e-7);  // E/(E − 1)

  const Floats clean = {.9F, .06F, .04F, .7F, .18F, .12F, .85F, .05F, .1F};
  const Floats noise = {-.037F, .026F, -.018F, -.074F, .045F, -.015F, -.067F, -.059F, .073F};
  Floats noisy = clean;
  for (size_t i = 0; i < noisy.size(); ++i) noisy[i] += noise[i];
  const TwoHalves halves(3);
  LossSpec spec = load(halves.first, halves.second, 2, /*excluding=*/false);
  spec.deviation = 0.1F;
  const auto value =
      losses_of(halves.network, halves.weights, {spec}, TwoHalves::batch(clean, noisy, 3))[0];
  EXPECT_NEAR(value, 0.48573864536489236, 1e-6);
}

TEST(GateLosses, OfManyRowsEqualTheDefinitions) {
  constexpr size_t columns = 10;
  Random random(3, RandomUse::test);
  Floats clean(1500 * columns), noisy(1500 * columns);
  for (size_t i = 0; i < clean.size(); ++i) {
    clean[i] = random.uniform() + 0.1F * static_cast<float>(i % columns);
    noisy[i] = clean[i] + 0.3F * random.normal();
  }
  const TwoHalves halves(columns);
  LossSpec spec = load(halves.first, halves.second, 3, /*excluding=*/true);
  spec.deviation = 0.3F;
  const auto found = losses_of(halves.network, halves.weights,
                               {importance(halves.first, 0), divergence(halves.first), spec},
                               TwoHalves::batch(clean, noisy, columns));
  const Doubles a(clean.begin(), clean.end()), b(noisy.begin(), noisy.end());
  EXPECT_NEAR(found[0], reference_importance(a, columns, 0), 1e-6);
  EXPECT_NEAR(found[1] / reference_divergence(a, columns), 1, 1e-5);
  const Doubles sigma(clean.size(), double{spec.deviation});
  EXPECT_NEAR(found[2], reference_load(a, b, sigma, columns, 3, true), 1e-6);
}

// A threshold that leaves the expert itself out is none where all are chosen (Shazeer et al. 2017,
// appendix A); V-MoE's is the least of all noisy logits, whoever has it.
TEST(GateLosses, OfAllExpertsAndOfOneAre0) {
  const TwoHalves halves(3);
  const Batch batch = TwoHalves::batch({1, 2, 3, 1, 5, 3}, {1, 2, 3, 4, 5, 6}, 3);
  const auto loss_of = [&](bool excluding) {
    LossSpec of_all = load(halves.first, halves.second, 3, excluding);
    of_all.deviation = 1;
    return losses_of(halves.network, halves.weights, {of_all}, batch)[0];
  };
  EXPECT_EQ(loss_of(true), 0);
  const auto chance = [](double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); };
  const Doubles loads = {chance(1 - 1) + chance(1 - 4), chance(2 - 1) + chance(5 - 4),
                         chance(3 - 1) + chance(3 - 4)};
  const double mean = (loads[0] + loads[1] + loads[2]) / 3;
  double squares = 0;
  for (const double one : loads) squares += (one - mean) * (one - mean) / 3;
  EXPECT_NEAR(loss_of(false), squares / (mean * mean), 1e-6);
  const Network alone = gates_are_the_input(1);
  LossSpec spec = load(0, 0, 1, true);
  spec.deviation = 1;
  EXPECT_EQ(
      losses_of(alone, case_weights(alone),
                {importance(0, 0), importance(0, 1), spec, divergence(0)}, rows_of({1, 1}, 1)),
      (Doubles{0, 0, 0, 0}));
}

TEST(GateLosses, OfUndefinedGatesAreUndefined) {
  const Network network = gates_are_the_input(3);
  Floats rows = {1, 0, 0, 0, 1, 0, 0, 0, std::numeric_limits<float>::quiet_NaN()};
  LossSpec spec = load(0, 0, 1, true);
  spec.deviation = 1;
  for (const double loss :
       losses_of(network, case_weights(network),
                 {importance(0, 0), importance(0, 1), divergence(0), spec}, rows_of(rows, 3))) {
    EXPECT_TRUE(std::isnan(loss));
  }
}

// ---- gradients ----

/// A network with losses of its gate, and their values by definition.
struct BalancedCase {
  std::string name;
  int64_t batch;
  Network network;
  std::vector<LossSpec> losses;
  std::function<Doubles(const std::vector<Doubles>&)> values;
};

std::ostream& operator<<(std::ostream& out, const BalancedCase& c) { return out << c.name; }

constexpr size_t experts = 6, chosen = 2;

/// Shazeer et al.: noise of a learned deviation.
BalancedCase shazeer(bool excluding) {
  auto build = CaseBuilder::of_features(24);
  const int clean = build.linear(0, "below", experts);
  const int sigma = build.softplus(build.linear(0, "deviation", experts), 0, 0.01);
  const int noisy = build.scaled_noise(clean, sigma);
  const int gates = build.top_k(noisy, {{"k", chosen}});
  build.network.logits = build.linear(gates, "fc", 7);
  LossSpec spec = load(clean, noisy, chosen, excluding, 0.25F);
  spec.sigma = sigma;
  return {fmt::format("shazeer_{}", excluding ? "excluding" : "including"),
          5,
          build.network,
          {importance(gates, 0, 0.5F), spec},
          [=](const std::vector<Doubles>& v) -> Doubles {
            const auto at = [&](int value) { return v[static_cast<size_t>(value)]; };
            return {reference_importance(at(gates), experts, 0),
                    reference_load(at(clean), at(noisy), at(sigma), experts, chosen, excluding)};
          }};
}

/// Pavlitska et al.: soft constraints.
BalancedCase pavlitska() {
  auto build = CaseBuilder::of_features(24);
  const int clean = build.linear(0, "below", experts);
  const int sigma = build.softplus(build.linear(0, "deviation", experts), 0.01, 0);
  const int gates = build.top_k(build.scaled_noise(clean, sigma), {{"k", chosen}});
  build.network.logits = build.linear(gates, "fc", 7);
  return {"pavlitska",
          2,  // rows: some experts are never chosen
          build.network,
          {importance(gates, 1, 0.5F), divergence(gates, 0.5F)},
          [=](const std::vector<Doubles>& v) -> Doubles {
            const Doubles& g = v[static_cast<size_t>(gates)];
            return {reference_importance(g, experts, 1), reference_divergence(g, experts)};
          }};
}

/// Riquelme et al., of tokens: fixed deviation, softmax before top-k, losses of values before it.
BalancedCase vision(int priority) {
  CaseBuilder build({6, 6, 3});
  const int patches = build.conv(0, "patches", 10, 3, 2);
  const int clean = build.linear(build.tokens(patches), "below", experts);
  const int noisy = build.noise(clean, 0.125);
  const int soft = build.softmax(clean);
  const int kept =
      build.capacity(build.top_k(build.softmax(noisy), {{"k", chosen}, {"softmax", 0}}),
                     {{"k", chosen}, {"factor", 0.5}, {"priority", priority}});
  build.network.feature = build.mean(patches);
  build.network.logits = build.linear(build.network.feature, "fc", 7);
  LossSpec spec = load(clean, noisy, chosen, false, 0.25F);
  spec.deviation = 0.125F;
  return {fmt::format("vision_priority{}", priority),
          3,
          build.network,
          {importance(soft, 0, 0.5F), spec, divergence(kept, 0.5F)},
          [=](const std::vector<Doubles>& v) -> Doubles {
            const auto at = [&](int value) { return v[static_cast<size_t>(value)]; };
            const Doubles sigma(at(clean).size(), 0.125);
            return {reference_importance(at(soft), experts, 0),
                    reference_load(at(clean), at(noisy), sigma, experts, chosen, false),
                    reference_divergence(at(kept), experts)};
          }};
}

class Balanced : public testing::TestWithParam<BalancedCase> {
 protected:
  /// The loss against tags, then the others.
  Doubles values(const ReferenceWeights& weights, const Batch& batch) const {
    const BalancedCase& c = GetParam();
    const auto all = reference_forward(c.network, weights, batch, true);
    Doubles result = c.values(all);
    const Doubles& logits = all[static_cast<size_t>(c.network.logits)];
    result.insert(result.begin(), reference_loss(LossKind::softmax, 0, logits, batch));
    return result;
  }
  double objective(const ReferenceWeights& weights, const Batch& batch) const {
    const Doubles each = values(weights, batch);
    double sum = each[0];
    for (size_t i = 1; i < each.size(); ++i) {
      sum += double{GetParam().losses[i - 1].weight} * each[i];
    }
    return sum;
  }
  std::unique_ptr<Program> trained(const Batch& batch, Precision precision, float factor) const {
    const BalancedCase& c = GetParam();
    std::vector<LossSpec> losses = {{}};
    for (LossSpec spec : c.losses) {
      spec.weight *= factor;
      losses.push_back(spec);
    }
    auto program = engine_under_test()->compile(
        c.network, {.batch = batch.size, .precision = precision, .losses = losses});
    program->load_weights(case_weights(c.network), "closed form");
    program->train_step(batch, 0);
    return program;
  }
};

TEST_P(Balanced, LossesAndGradientsEqualTheDefinitions) {
  const BalancedCase& c = GetParam();
  const Batch batch = case_batch(c.network, c.batch);
  ReferenceWeights weights = to_double(case_weights(c.network));
  const auto program = trained(batch, Precision::fp32, 1);
  const Doubles expected = values(weights, batch), found = program->take_losses();
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 1e-5 * (std::abs(expected[i]) + 0.1)) << i;
  }
  Random random(5, RandomUse::test);
  for (const auto& [name, gradient] : to_double(program->gradients())) {
    Doubles& parameter = weights.at(name);
    for (int probe = 0; probe < 3; ++probe) {
      Doubles direction(parameter.size());
      double along = 0, squares = 0;
      for (size_t i = 0; i < direction.size(); ++i) {
        direction[i] = double{random.normal()} / std::sqrt(static_cast<double>(direction.size()));
        along += gradient[i] * direction[i];
        squares += gradient[i] * gradient[i];
      }
      constexpr double step = 1e-6;
      const Doubles before = parameter;
      for (size_t i = 0; i < direction.size(); ++i) parameter[i] = before[i] + step * direction[i];
      const double ahead = objective(weights, batch);
      for (size_t i = 0; i < direction.size(); ++i) parameter[i] = before[i] - step * direction[i];
      const double slope = (ahead - objective(weights, batch)) / (2 * step);
      parameter = before;
      const double typical = std::sqrt(squares / static_cast<double>(direction.size()));
      EXPECT_LE(std::abs(along - slope) / (typical + std::abs(slope) + 1e-4), 1e-4)
          << name << ": " << along << " against " << slope;
    }
  }
}

// With a weight of 0 a loss is measured, and trains nothing.
TEST_P(Balanced, AWeightOf0OnlyMeasures) {
  const BalancedCase& c = GetParam();
  const Batch batch = case_batch(c.network, c.batch);
  const auto measured = trained(batch, Precision::fp32, 0),
             whole = trained(batch, Precision::fp32, 1);
  EXPECT_EQ(measured->take_losses(), whole->take_losses());
  const auto plain = engine_under_test()->compile(c.network, {.batch = c.batch});
  plain->load_weights(case_weights(c.network), "closed form");
  plain->train_step(batch, 0);
  const StateDict expected = plain->gradients();
  for (const auto& [name, gradient] : to_double(measured->gradients())) {
    EXPECT_EQ(gradient, to_double(expected).at(name)) << name;
  }
}

TEST_P(Balanced, Bf16FollowsFp32) {
  if (!engine_under_test()->supports(Precision::bf16)) GTEST_SKIP() << "this device has no bf16";
  const Batch batch = case_batch(GetParam().network, 64);
  const auto exact = trained(batch, Precision::fp32, 1);
  const auto rounded = trained(batch, Precision::bf16, 1);
  const Doubles expected = exact->take_losses(), found = rounded->take_losses();
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 0.02 * std::abs(expected[i]) + 0.005) << i;
  }
  const auto gradients = to_double(exact->gradients());
  for (const auto& [name, gradient] : to_double(rounded->gradients())) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < gradient.size(); ++i) {
      difference += std::pow(gradient[i] - gradients.at(name)[i], 2);
      size += std::pow(gradients.at(name)[i], 2);
    }
    EXPECT_LE(std::sqrt(difference / size), 0.15) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Papers, Balanced,
                         testing::Values(shazeer(true), shazeer(false), pavlitska(), vision(0),
                                         vision(1)),
                         [](const auto& one) { return one.param.name; });

// ---- what they refuse ----

TEST(GateLosses, RefuseWhatIsNoGateOrOutOfRange) {
  auto build = CaseBuilder({4, 4, 3});
  const int map = build.conv(0, "conv", 8, 3);
  const int pooled = build.mean(map);
  const int gate = build.linear(pooled, "gate", 4), other = build.linear(pooled, "other", 5);
  build.network.logits = build.linear(pooled, "fc", 3);
  const auto refused = [&](const LossSpec& spec, const std::vector<std::string>& words) {
    expect_error(
        [&] {
          make_engine("cpu")->compile(build.network, {.losses = {{}, spec}});
        },
        words);
  };
  refused(importance(map, 0), {"'importance'", "no gate"});
  refused(importance(-1, 0), {"'importance'", "value -1"});
  refused(importance(99, 0), {"'importance'", "value 99"});
  refused(importance(gate, 2), {"'importance'", "ddof is 2", "0 or 1"});
  LossSpec spec = load(gate, gate, 2, true);
  refused(spec, {"'load'", "deviation of the noise is 0"});
  spec.deviation = 1;
  spec.k = 5;
  refused(spec, {"'load'", "k is 5", "1 to 4"});
  spec.k = 2;
  spec.noisy = other;
  refused(spec, {"'load'", "different shapes"});
  spec.noisy = -1;
  refused(spec, {"'load'", "value -1"});
  Network trunk = build.network;
  trunk.logits = -1;
  expect_error([&] { make_engine("cpu")->compile(trunk, {.losses = {importance(gate, 0)}}); },
               {"without logits"});
}

}  // namespace
}  // namespace hardmoe
