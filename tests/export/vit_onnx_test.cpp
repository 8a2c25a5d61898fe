// Transformers' operators as ONNX Runtime computes them, beside what PyTorch stored
// (tests/files/README.md).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/files.h"
#include "engine/network_facts.h"
#include "export/network_graph.h"
#include "export/onnx_model.h"
#include "nn/vit.h"
#include "outside.h"
#include "references/closed_form.h"
#include "temporary_folder.h"
#include "tensor/npy.h"
#include "test_files.h"

namespace hardmoe {
namespace {

/// Colours from 0 to 1, N×3×H×W.
Tensor planes_of(const Tensor& pixels) {
  const int64_t side = pixels.size(1), plane = side * side;
  Tensor images(DType::f32, {pixels.size(0), 3, side, side});
  for (int64_t i = 0; i < images.elements(); ++i) {
    const int64_t image = i / plane / 3, colour = i / plane % 3, at = i % plane;
    images.as<float>()[static_cast<size_t>(i)] =
        static_cast<float>(
            pixels.as<uint8_t>()[static_cast<size_t>((image * plane + at) * 3 + colour)]) /
        255;
  }
  return images;
}

/// The largest difference over the largest value.
double distance(const Tensor& found, const Tensor& expected) {
  EXPECT_EQ(found.shape(), expected.shape());
  double most = 0, largest = 0;
  for (size_t i = 0; i < expected.as<float>().size(); ++i) {
    const double value = double{expected.as<float>()[i]};
    largest = std::max(largest, std::abs(value));
    most = std::max(most, std::abs(value - double{found.as<float>()[i]}));
  }
  return most / largest;
}

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
  const std::string line =
      fmt::format("{} -B '{}/../export/run_onnx.py' '{}' > '{}' 2>&1", python.string(),
                  test_files().string(), folder.path().string(), (folder / "log").string());
  ASSERT_EQ(std::system(line.c_str()), 0) << read_file(folder / "log");
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
