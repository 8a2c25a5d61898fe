// The gates of three papers against PyTorch's and NumPy's transcriptions of their formulas
// (tests/files/README.md): losses, gradients, and the hard constraints over many batches.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/operator_cases.h"
#include "test_files.h"

namespace hardmoe {
namespace {

constexpr int64_t features = 24, experts = 6, tags = 7;
constexpr int chosen = 2;

LossSpec loss_of_gate(LossKind kind, const std::string& name, int value, float weight) {
  LossSpec spec{.kind = kind, .weight = weight, .value = value};
  spec.name = name;
  spec.k = chosen;
  return spec;
}

struct Paper {
  std::string name;
  Network network;
  std::vector<LossSpec> losses;
};

Paper shazeer() {
  auto build = CaseBuilder::of_features(features);
  const int clean = build.linear(0, "below", experts);
  const int sigma = build.softplus(build.linear(0, "deviation", experts), 0, 0.01);
  const int noisy = build.scaled_noise(clean, sigma);
  const int gates = build.top_k(noisy, {{"k", chosen}});
  build.network.logits = build.linear(gates, "fc", tags);
  LossSpec load = loss_of_gate(LossKind::load, "load", clean, 0.25F);
  load.noisy = noisy;
  load.sigma = sigma;
  return {"shazeer",
          build.network,
          {{}, loss_of_gate(LossKind::importance, "importance", gates, 0.5F), load}};
}

Paper pavlitska() {
  auto build = CaseBuilder::of_features(features);
  const int clean = build.linear(0, "below", experts);
  const int sigma = build.softplus(build.linear(0, "deviation", experts), 0.01, 0);
  const int gates = build.top_k(build.scaled_noise(clean, sigma), {{"k", chosen}});
  build.network.logits = build.linear(gates, "fc", tags);
  LossSpec importance = loss_of_gate(LossKind::importance, "importance", gates, 0.5F);
  importance.ddof = 1;
  return {"pavlitska",
          build.network,
          {{}, importance, loss_of_gate(LossKind::divergence, "divergence", gates, 0.25F)}};
}

Paper vision() {
  auto build = CaseBuilder::of_features(features);
  const int clean = build.linear(0, "below", experts);
  const int noisy = build.noise(clean, 1.0 / experts);
  const int gates = build.top_k(build.softmax(noisy), {{"k", chosen}, {"softmax", 0}});
  const int kept = build.capacity(gates, {{"k", chosen}, {"factor", 0.8}, {"priority", 1}});
  build.network.logits = build.linear(kept, "fc", tags);
  const int soft = build.softmax(clean);
  LossSpec load = loss_of_gate(LossKind::load, "load", clean, 0.25F);
  load.noisy = noisy;
  load.deviation = 1.0F / experts;
  load.excluding = false;
  return {"vision",
          build.network,
          {{}, loss_of_gate(LossKind::importance, "importance", soft, 0.5F), load}};
}

/// ‖a − b‖ / ‖b‖.
double distance(std::span<const float> a, std::span<const float> b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(double{a[i]} - double{b[i]}, 2);
    norm += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

class GateReference : public testing::Test {
 protected:
  const Tensor& stored(const std::string& name) const {
    return require_tensor(reference, name, "gates.safetensors");
  }
  StateDict reference = load_safetensors(test_file("gates.safetensors"));
  std::unique_ptr<Engine> engine = engine_under_test();
};

TEST_F(GateReference, LossesAndGradientsEqualPyTorch) {
  Batch batch;
  batch.input = stored("input");
  batch.size = batch.input.size(0);
  for (int32_t i = 0; i < batch.size; ++i) {
    batch.tag_ids.push_back(i % static_cast<int32_t>(tags));
    batch.tag_ptr.push_back(i + 1);
  }
  for (const Paper& paper : {shazeer(), pavlitska(), vision()}) {
    SCOPED_TRACE(paper.name);
    const auto program =
        engine->compile(paper.network, {.batch = batch.size, .losses = paper.losses, .seed = 5});
    program->load_weights(case_weights(paper.network), "closed form");
    program->train_step(batch, 0);
    const auto losses = program->take_losses();
    const auto expected = stored(paper.name + ".loss").as<float>();
    ASSERT_EQ(losses.size(), expected.size());
    for (size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], expected[i], 1e-6) << i;
    for (const auto& [name, gradient] : program->gradients()) {
      EXPECT_LT(distance(gradient.as<float>(), stored(paper.name + ".grad." + name).as<float>()),
                1e-5)
          << name;
    }
  }
}

TEST_F(GateReference, HardConstraintsEqualNumPyOverManyBatches) {
  const Tensor& logits = stored("hard.logits");
  const int64_t steps = logits.size(0), rows = logits.size(1), columns = logits.size(2);
  for (const auto& [name, constraint, limit] :
       {std::tuple{"relative", 1, 0.5}, std::tuple{"mean", 2, 0.1}}) {
    SCOPED_TRACE(name);
    auto build = CaseBuilder::of_features(columns);
    const int gates = build.top_k(0, {{"k", chosen}, {"constraint", constraint}, {"limit", limit}});
    build.network.logits = build.linear(gates, "fc", tags);
    const auto program = engine->compile(build.network, {.batch = rows});
    program->load_weights(initial_weights(build.network, 1), "initial");
    const auto expected = stored(std::string("hard.") + name).as<float>();
    Batch batch;
    batch.input = Tensor(DType::f32, {rows, columns});
    batch.size = rows;
    batch.tag_ptr.assign(static_cast<size_t>(rows) + 1, 0);
    for (int64_t step = 0; step < steps; ++step) {
      const float* from = logits.as<float>().data() + step * rows * columns;
      std::copy_n(from, rows * columns, batch.input.as<float>().data());
      program->train_step(batch, 0);
      const StateDict weights = program->weights();
      const auto running = weights.at("gate.running").as<float>();
      for (size_t i = 0; i < running.size(); ++i) {
        ASSERT_NEAR(running[i], expected[static_cast<size_t>(step * columns) + i], 1e-5) << step;
      }
    }
  }
}

}  // namespace
}  // namespace hardmoe
