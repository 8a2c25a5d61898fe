// Layers of experts as ONNX Runtime computes them, beside the CPU engine.
#include <gtest/gtest.h>

#include "base/random.h"
#include "engine/engine.h"
#include "engine/network_facts.h"
#include "export/network_graph.h"
#include "export/onnx_answers.h"
#include "export/onnx_model.h"
#include "nn/architecture.h"
#include "outside.h"
#include "references/closed_form.h"
#include "temporary_folder.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace {

constexpr int64_t count = 6, side = 16, tags = 5;

Tensor random_images() {
  Tensor images(DType::u8, {count, side, side, 3});
  Random random(4, RandomUse::test);
  for (uint8_t& value : images.as<uint8_t>()) value = static_cast<uint8_t>(random.below(256));
  return images;
}

struct Case {
  std::string name;
  ModelConfig model;
};

std::vector<Case> cases() {
  const ModelConfig resnet{.width = 8, .image_size = side};
  std::vector<Case> all(5, {"", resnet});
  all[0].name = "shazeer";
  all[0].model.sparse = {.kind = SparseKind::shazeer, .experts = 4, .stages = {1, 3}};
  all[1].name = "pavlitska";
  all[1].model.sparse = {.kind = SparseKind::pavlitska,
                         .experts = 3,
                         .chosen = 1,
                         .gate = GateInput::conv,
                         .constraint = GateConstraint::mean};
  for (size_t i = 2; i < all.size(); ++i) {
    all[i].model.architecture = Architecture::vit;
    all[i].model.vit = {.width = 24, .depth = 4, .heads = 3};
    all[i].model.sparse = {.kind = SparseKind::vmoe, .experts = 4};
  }
  all[2].name = "vmoe";
  all[3].name = "vmoe_full";  // 4 of 17 tokens for an expert, so that most are turned away
  all[3].model.sparse.capacity = 0.3;
  all[4].name = "vmoe_priority";
  all[4].model.sparse.capacity = 0.3;
  all[4].model.sparse.priority = RoutingPriority::evaluation;
  return all;
}

TEST(OnnxSparseRuntime, AnswersAsTheEngineDoes) {
  const auto [python, missing] = python_with("numpy, onnx, onnxruntime");
  if (!missing.empty()) GTEST_SKIP() << missing;
  const TemporaryFolder folder;
  const Tensor images = random_images();
  save_npy(folder / "images.npy", planes_of(images));
  const auto engine = make_engine("cpu");
  std::map<std::string, Tensor> expected;
  for (const Case& one : cases()) {
    const Network network = network_of(one.model, tags);
    StateDict weights;
    for (const auto& spec : parameters_of(network)) {
      weights.emplace(spec.name, reference_parameter(spec.name, spec.shape));
    }
    const int64_t width = feature_size(network);
    OnnxModel model(folder / (one.name + ".onnx"), "sparse", 0);
    OnnxGraph& graph = model.graph();
    const std::string input = graph.input({"images", OnnxElement::f32, {"N", 3, side, side}});
    const NetworkValues values =
        write_network(graph, network, weights, "model", write_normalised(graph, network, input));
    graph.output(values.feature, {"features", OnnxElement::f32, {"N", width}});
    graph.output(values.logits, {"logits", OnnxElement::f32, {"N", tags}});
    model.save();
    CompileOptions options;
    options.batch = count;
    options.mode = Mode::infer;
    const auto program = engine->compile(network, options);
    program->load_weights(weights, one.name);
    Tensor features(DType::f32, {count, width}), logits(DType::f32, {count, tags});
    Batch batch;
    batch.size = count;
    batch.input = images;
    batch.tag_ptr.assign(count + 1, 0);
    program->infer(batch, features.as<float>(), logits.as<float>());
    expected.emplace(one.name + ".features", features);
    expected.emplace(one.name + ".logits", logits);
  }
  EXPECT_GT(distance(expected.at("vmoe_full.features"), expected.at("vmoe.features")), 0.01);
  EXPECT_GT(distance(expected.at("vmoe_full.features"), expected.at("vmoe_priority.features")),
            0.01);
  ASSERT_NO_FATAL_FAILURE(run_onnx(python, folder.path()));
  for (const auto& [name, tensor] : expected) {
    EXPECT_LT(distance(load_npy(folder / (name + ".npy")), tensor), 2e-5) << name;
  }
}

}  // namespace
}  // namespace hardmoe
