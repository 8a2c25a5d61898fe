// Small Vision Transformers against PyTorch (tests/files/README.md): features, logits, loss, gradients
// and twenty training steps; and how many parameters the named sizes have.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "engine/network_facts.h"
#include "engine/operator_cases.h"
#include "nn/vit.h"
#include "test_files.h"

namespace hardmoe {
namespace {

/// ‖a − b‖ / ‖b‖.
double distance(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(double{a[i]} - double{b[i]}, 2);
    norm += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

struct Case {
  std::string name;
  VitConfig config;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

class VitReference : public testing::TestWithParam<Case> {
 protected:
  VitReference()
      : reference(load_safetensors(test_file("vit.safetensors"))),
        network(vit(GetParam().config, 7)) {
    batch.input = reference.at("images");
    batch.size = batch.input.size(0);
    for (int32_t i = 0; i < batch.size; ++i) {
      const std::set<int32_t> tags = {i % 7, (3 * i + 1) % 7};
      batch.tag_ids.insert(batch.tag_ids.end(), tags.begin(), tags.end());
      batch.tag_ptr.push_back(static_cast<int32_t>(batch.tag_ids.size()));
    }
  }

  std::span<const float> stored(const std::string& what) const {
    return require_tensor(reference, GetParam().name + "." + what, "vit.safetensors").as<float>();
  }

  std::unique_ptr<Program> compile(CompileOptions options) const {
    options.batch = batch.size;
    auto program = engine_under_test()->compile(network, options);
    program->load_weights(case_weights(network), "closed form");
    return program;
  }

  StateDict reference;
  Network network;
  Batch batch;
};

TEST_P(VitReference, OutputsAndGradientsEqualPyTorch) {
  Tensor features(DType::f32, {batch.size, feature_size(network)});
  Tensor logits(DType::f32, {batch.size, 7});
  compile({.mode = Mode::infer})->infer(batch, features.as<float>(), logits.as<float>());
  EXPECT_LT(distance(features.as<float>(), stored("features")), 1e-5);
  EXPECT_LT(distance(logits.as<float>(), stored("logits")), 1e-5);

  const auto program = compile({});
  program->train_step(batch, 0);
  EXPECT_NEAR(program->take_loss(), stored("loss")[0], 1e-5);
  const StateDict gradients = program->gradients();
  for (const auto& spec : parameters_of(network)) {
    const auto gradient = gradients.at(spec.name).as<float>();
    EXPECT_LT(distance(gradient, stored("grad." + spec.name)), 1e-5) << spec.name;
  }
}

TEST_P(VitReference, TwentyStepsEqualPyTorch) {
  const auto program =
      compile({.optimizer = {.kind = OptimizerKind::adamw, .weight_decay = 0.05F}});
  for (const float loss : stored("adamw.losses")) {
    program->train_step(batch, 1e-3F);
    EXPECT_NEAR(program->take_loss(), loss, 1e-3 * double{loss} + 1e-5);
  }
}

TEST_P(VitReference, Bf16FollowsFp32) {
  if (!engine_under_test()->supports(Precision::bf16)) GTEST_SKIP() << "this device has no bf16";
  const auto program = compile({.precision = Precision::bf16});
  program->train_step(batch, 0);
  EXPECT_NEAR(program->take_loss() / stored("loss")[0], 1, 0.02);
  for (const auto& [name, gradient] : program->gradients()) {
    // The keys' bias has no gradient: it moves all scores of a query alike.
    if (name.ends_with("attn.qkv.bias")) continue;
    EXPECT_LT(distance(gradient.as<float>(), stored("grad." + name)), 0.1) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, VitReference,
    testing::Values(Case{"token", {.width = 24, .depth = 2, .heads = 3, .image_size = 16}},
                    Case{"mean",
                         {.width = 20,
                          .depth = 2,
                          .heads = 2,
                          .image_size = 16,
                          .pooling = VitPooling::mean,
                          .positions = VitPositions::sincos}}),
    [](const auto& c) { return c.param.name; });

// timm's vit_tiny_patch16_224, vit_small_patch16_224 and vit_base_patch16_224.
TEST(VitSizes, HaveTimmsParameters) {
  const auto count = [](VitSize size) {
    return parameter_count(vit({.size = size, .patch_size = 16, .image_size = 224}, 1000));
  };
  EXPECT_EQ(count(VitSize::tiny), 5717416);
  EXPECT_EQ(count(VitSize::small), 22050664);
  EXPECT_EQ(count(VitSize::base), 86567656);
}

// Multiply-adds of DeiT-S and DeiT-B, the same networks, by Liu et al. 2021 (Swin), table 1: 4.6G, 17.5G.
TEST(VitSizes, CostWhatIsPublished) {
  const auto network = [](VitSize size) {
    return vit({.size = size, .patch_size = 16, .image_size = 224}, 1000);
  };
  EXPECT_NEAR(flops_per_image(network(VitSize::small)) / 2e9, 4.6, 0.05);
  EXPECT_NEAR(flops_per_image(network(VitSize::base)) / 2e9, 17.5, 0.07);
  // Training costs thrice as much, but for the image's gradient, which nobody needs.
  const double patches = 2.0 * 196 * 768 * 768;
  EXPECT_NEAR(training_flops_per_image(network(VitSize::base), {}),
              3 * flops_per_image(network(VitSize::base)) - patches, 1);
}

TEST(VitSizes, TheHeadsBiasBeginsWhereItIsToldTo) {
  const StateDict weights = initial_weights(vit({.depth = 1, .head_bias = -10}, 10), 1);
  for (const float value : weights.at("fc.bias").as<float>()) EXPECT_EQ(value, -10);
  for (const float value : weights.at("blocks.0.mlp.fc1.bias").as<float>()) EXPECT_EQ(value, 0);
}

}  // namespace
}  // namespace hardmoe
