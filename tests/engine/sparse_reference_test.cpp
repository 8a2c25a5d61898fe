// Whole sparsely-gated networks, as nn/sparse_resnet.h and nn/vmoe.h build them, against plain
// transcriptions of their papers' formulas in PyTorch (tests/files/README.md): features, logits, losses,
// gradients, running statistics, and fifty training steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/balance_specs.h"
#include "engine/network_facts.h"
#include "engine/operator_cases.h"
#include "nn/sparse_resnet.h"
#include "nn/vmoe.h"
#include "test_files.h"

namespace hardmoe {
namespace {

constexpr int64_t tags = 7;

/// ‖a − b‖ / ‖b‖; of b = 0, ‖a‖.
double distance(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(double{a[i]} - double{b[i]}, 2);
    norm += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / (norm > 0 ? norm : 1));
}

struct Case {
  std::string name;
  ModelConfig model;
  LossKind loss;
  double gradient_error;  ///< more than that of PyTorch's own float32, see the file's metadata

  bool is_resnet() const { return model.sparse.kind != SparseKind::vmoe; }
  SparseNetwork build() const {
    return is_resnet() ? sparse_resnet(model, tags) : vmoe(model, tags);
  }
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

Case resnet_case(const std::string& name, SparseConfig sparse) {
  sparse.experts = 4;
  sparse.expert_channels = {4};
  return {name, {.width = 2, .image_size = 16, .sparse = sparse}, LossKind::softmax, 1e-4};
}

Case vmoe_case(const std::string& name, VitConfig vit, RoutingPriority priority) {
  vit.depth = vit.heads = 2;
  vit.mlp_ratio = 2;
  ModelConfig model{.image_size = 16, .architecture = Architecture::vit, .vit = vit};
  model.sparse = {.kind = SparseKind::vmoe,
                  .experts = 4,
                  .importance = 0.5,
                  .load = 0.25,
                  .capacity = 0.8,
                  .priority = priority};
  return {name, model, LossKind::sigmoid, 1e-5};
}

std::vector<Case> cases() {
  return {
      resnet_case("shazeer", {.kind = SparseKind::shazeer, .importance = 0.5, .load = 0.25}),
      resnet_case("pavlitska", {.kind = SparseKind::pavlitska, .importance = 0.5}),
      resnet_case("constraint", {.kind = SparseKind::pavlitska,
                                 .gate = GateInput::conv,
                                 .constraint = GateConstraint::relative}),
      vmoe_case("vision", {.width = 20}, RoutingPriority::none),
      vmoe_case("priority",
                {.width = 16, .pooling = VitPooling::mean, .positions = VitPositions::sincos},
                RoutingPriority::both),
  };
}

class SparseReference : public testing::TestWithParam<Case> {
 protected:
  SparseReference()
      : reference(load_safetensors(test_file("moe.safetensors"))), built(GetParam().build()) {
    batch.input = reference.at("images");
    batch.size = batch.input.size(0);
    for (int32_t i = 0; i < batch.size; ++i) {
      const std::set<int32_t> both = {i % 7, (3 * i + 1) % 7};
      batch.tag_ids.insert(batch.tag_ids.end(), both.begin(), both.end());
      batch.tag_ptr.push_back(static_cast<int32_t>(batch.tag_ids.size()));
    }
  }

  std::span<const float> stored(const std::string& what) const {
    return require_tensor(reference, GetParam().name + "." + what, "moe.safetensors").as<float>();
  }

  /// Whether the gradients and statistics of this name are stored: of one ResNet all, of the others not
  /// those of the stages below the experts.
  static bool is_stored(const std::string& name) {
    const bool below = GetParam().is_resnet() && name.starts_with("layer") && name[5] != '4';
    return !below || GetParam().name == "shazeer";
  }

  std::unique_ptr<Program> compile(CompileOptions options) const {
    options.batch = batch.size;
    options.seed = 5;
    options.losses = {{.kind = GetParam().loss}};
    const auto balance = balance_specs(built.losses);
    options.losses.insert(options.losses.end(), balance.begin(), balance.end());
    auto program = engine_under_test()->compile(built.network, options);
    program->load_weights(case_weights(built.network), "closed form");
    return program;
  }

  StateDict reference;
  SparseNetwork built;
  Batch batch;
};

TEST_P(SparseReference, AnswersEqualPyTorch) {
  Tensor features(DType::f32, {batch.size, feature_size(built.network)});
  Tensor logits(DType::f32, {batch.size, tags});
  compile({.mode = Mode::infer})->infer(batch, features.as<float>(), logits.as<float>());
  EXPECT_LT(distance(features.as<float>(), stored("features")), 1e-5);
  EXPECT_LT(distance(logits.as<float>(), stored("logits")), 1e-5);
}

TEST_P(SparseReference, OneStepEqualsPyTorch) {
  const auto program = compile({});
  program->train_step(batch, 0);
  const auto losses = program->take_losses();
  const auto expected = stored("losses");
  ASSERT_EQ(losses.size(), expected.size());
  for (size_t i = 0; i < losses.size(); ++i) {
    EXPECT_NEAR(losses[i], expected[i], 1e-5 * double{expected[i]}) << i;
  }
  const StateDict gradients = program->gradients(), after = program->weights();
  for (const auto& spec : parameters_of(built.network)) {
    if (!is_stored(spec.name)) continue;
    const bool learned = gradients.contains(spec.name);
    const Tensor& found = learned ? gradients.at(spec.name) : after.at(spec.name);
    EXPECT_LT(distance(found.as<float>(), stored((learned ? "grad." : "after.") + spec.name)),
              learned ? GetParam().gradient_error : 1e-5)
        << spec.name;
  }
}

// Of the ResNets, the experts' stage and the head: when all is trained, rounding decides after some
// steps on which side of 0 a ReLU's input lies.
TEST_P(SparseReference, FiftyStepsEqualPyTorch) {
  CompileOptions options;
  float rate = 0.01F;
  if (GetParam().is_resnet()) {
    options.optimizer.weight_decay = 5e-4F;
    options.frozen = {"conv1.*", "bn1.*", "layer1.*", "layer2.*", "layer3.*"};
  } else {
    options.optimizer = {.kind = OptimizerKind::adamw, .weight_decay = 0.05F};
    rate = 1e-3F;
  }
  const auto program = compile(options);
  const auto curve = stored("curve");
  ASSERT_EQ(curve.size(), 50U);
  for (const float loss : curve) {
    program->train_step(batch, rate);
    EXPECT_NEAR(program->take_loss(), loss, 1e-5 * double{loss});
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, SparseReference, testing::ValuesIn(cases()),
                         [](const auto& c) { return c.param.name; });

}  // namespace
}  // namespace hardmoe
