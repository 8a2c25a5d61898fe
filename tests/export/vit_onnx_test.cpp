// Transformers' operators as ONNX Runtime computes them, beside what PyTorch stored
// (tests/files/README.md).
#include <gtest/gtest.h>

#include "engine/network_facts.h"
#include "export/network_graph.h"
#include "export/onnx_answers.h"
#include "export/onnx_model.h"
#include "nn/vit.h"
#include "outside.h"
#include "references/closed_form.h"
#include "temporary_folder.h"
#include "tensor/npy.h"
#include "test_files.h"

namespace hardmoe {
namespace {

TEST(OnnxVitRuntime, AnswersAsPyTorchDoes) {
  const auto [python, missing] = python_with("numpy, onnx, onnxruntime");
  if (!missing.empty()) GTEST_SKIP() << missing;
  const StateDict stored = load_safetensors(test_file("vit.safetensors"));
  const TemporaryFolder folder;
  save_npy(folder / "images.npy", planes_of(stored.at("images")));
  const VitConfig token = {.width = 24, .depth = 2, .heads = 3, .image_size = 16};
  const VitConfig mean = {.width = 20,
                          .depth = 2,
                          .heads = 2,
                          .image_size = 16,
                          .pooling = VitPooling::mean,
                          .positions = VitPositions::sincos};
  for (const auto& [name, config] : {std::pair{"token", token}, {"mean", mean}}) {
    const Network network = vit(config, 7);
    StateDict weights;
    for (const auto& spec : parameters_of(network)) {
      weights.emplace(spec.name, reference_parameter(spec.name, spec.shape));
    }
    OnnxModel model(folder / fmt::format("{}.onnx", name), "vit", 0);
    OnnxGraph& graph = model.graph();
    const std::string images = graph.input({"images", OnnxElement::f32, {"N", 3, 16, 16}});
    const NetworkValues values =
        write_network(graph, network, weights, "model", write_normalised(graph, network, images));
    graph.output(values.feature, {"features", OnnxElement::f32, {"N", int64_t{config.width}}});
    graph.output(values.logits, {"logits", OnnxElement::f32, {"N", 7}});
    model.save();
  }
  ASSERT_NO_FATAL_FAILURE(run_onnx(python, folder.path()));
  for (const std::string name : {"token", "mean"}) {
    for (const std::string what : {"features", "logits"}) {
      EXPECT_LT(
          distance(load_npy(folder / (name + "." + what + ".npy")), stored.at(name + "." + what)),
          1e-5)
          << name << " " << what;
    }
  }
}

}  // namespace
}  // namespace hardmoe
