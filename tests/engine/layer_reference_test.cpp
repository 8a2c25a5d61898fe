// Layer norm, GELU and linear layers on maps, as whole small networks, against PyTorch's outputs
// and gradients (tests/files/README.md).
#include <gtest/gtest.h>

#include <cmath>

#include "engine/operator_cases.h"
#include "test_files.h"

namespace hardmoe {
namespace {

/// ‖a − b‖ / ‖b‖.
double distance(std::span<const float> a, std::span<const float> b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += std::pow(double{a[i]} - double{b[i]}, 2);
    norm += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

Network vectors() {
  auto build = CaseBuilder::of_features(24);
  const int x = build.layer_norm(build.linear(0, "below", 20), "norm");
  build.network.logits = build.linear(build.gelu(x), "fc", 7);
  return build.network;
}

Network maps() {
  CaseBuilder build({6, 4, 3});
  const int x = build.relu(build.conv(0, "patches", 16, 3, 2));
  const int y = build.gelu(build.layer_norm(x, "norm"));
  build.network.feature = build.network.logits = build.linear(y, "fc", 7);
  return build.network;
}

TEST(LayerReference, OutputsAndGradientsEqualPyTorch) {
  const StateDict reference = load_safetensors(test_file("layers.safetensors"));
  const auto engine = engine_under_test();
  for (const auto& [name, network] :
       {std::pair<std::string, Network>{"vectors", vectors()}, {"maps", maps()}}) {
    SCOPED_TRACE(name);
    const auto stored = [&](const std::string& what) -> const Tensor& {
      return require_tensor(reference, name + "." + what, "layers.safetensors");
    };
    Batch batch;
    batch.input = stored("input");
    batch.size = batch.input.size(0);
    for (int32_t i = 0; i < batch.size; ++i) {
      const std::set<int32_t> tags = {i % 7, (3 * i + 1) % 7};
      batch.tag_ids.insert(batch.tag_ids.end(), tags.begin(), tags.end());
      batch.tag_ptr.push_back(static_cast<int32_t>(batch.tag_ids.size()));
    }
    const auto compiled = [&](Mode mode) {
      auto program = engine->compile(network, {.batch = batch.size, .mode = mode});
      program->load_weights(case_weights(network), "closed form");
      return program;
    };
    Tensor logits(DType::f32, {batch.size, 7});
    compiled(Mode::infer)->infer(batch, {}, logits.as<float>());
    EXPECT_LT(distance(logits.as<float>(), stored("logits").as<float>()), float32_bound());

    const auto program = compiled(Mode::train);
    program->train_step(batch, 0);
    EXPECT_NEAR(program->take_loss(), stored("loss").as<float>()[0], float32_bound());
    for (const auto& [parameter, gradient] : program->gradients()) {
      EXPECT_LT(distance(gradient.as<float>(), stored("grad." + parameter).as<float>()),
                3 * float32_bound())
          << parameter;
    }
  }
}

}  // namespace
}  // namespace hardmoe
