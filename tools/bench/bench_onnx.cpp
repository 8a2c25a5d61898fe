// Writes mixtures of untrained ResNets as ONNX files, for tools/bench/onnx_rows.py to time: OUT/rows
// (any number of images), OUT/branches (one) and OUT/base (the base alone), and OUT/images.npy,
// of which image k goes to expert k.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "base/error.h"
#include "base/folders.h"
#include "base/random.h"
#include "engine/engine.h"
#include "engine/network_facts.h"
#include "export/model_file.h"
#include "nn/architecture.h"
#include "tensor/npy.h"

namespace {

using namespace hardmoe;

struct Options {
  std::filesystem::path out;
  int64_t experts = 4, tags = 400;
  ModelConfig model{.depth = 18, .stem = Stem::imagenet, .width = 64, .image_size = 64};
};

/// Returns an image of noise for each expert, uint8 K×S×S×3.
Tensor noise(const Options& options) {
  const int64_t size = options.model.image_size;
  Tensor images(DType::u8, {options.experts, size, size, 3});
  Random random(1, RandomUse::test);
  for (uint8_t& value : images.as<uint8_t>()) value = static_cast<uint8_t>(random.below(256));
  return images;
}

/// Returns the features of the images, K×D.
Tensor features_of(const Model& base, const Tensor& images) {
  const Network trunk = network_of(base.card.model, 0);
  const auto engine = make_engine("cpu");
  CompileOptions compile;
  compile.batch = images.size(0);
  compile.mode = Mode::infer;
  const auto program = engine->compile(trunk, compile);
  program->load_weights(base.weights, "base");
  Batch batch;
  batch.size = images.size(0);
  batch.input = images;
  batch.tag_ptr.assign(static_cast<size_t>(batch.size) + 1, 0);
  Tensor features(DType::f32, {batch.size, feature_size(trunk)});
  program->infer(batch, features.as<float>(), {});
  return features;
}

/// Returns the images as the files take them: float32 K×3×S×S from 0 to 1.
Tensor as_input(const Tensor& images) {
  const int64_t size = images.size(1), plane = size * size;
  Tensor input(DType::f32, {images.size(0), 3, size, size});
  const auto from = images.as<uint8_t>();
  const auto to = input.as<float>();
  for (int64_t i = 0; i < input.elements(); ++i) {
    const int64_t image = i / (3 * plane), colour = i / plane % 3, at = i % plane;
    to[static_cast<size_t>(i)] =
        static_cast<float>(from[static_cast<size_t>((image * plane + at) * 3 + colour)]) / 255;
  }
  return input;
}

void run(const Options& options) {
  make_writable_folder(options.out);
  const Network network = network_of(options.model, options.tags);
  Mixture mixture;
  mixture.base = {{options.model, options.tags, "", {}}, initial_weights(network, 1)};
  const std::filesystem::path expert = options.out / "expert";
  make_folders(expert);
  save_model(expert, {mixture.base.card, initial_weights(network, 2)});
  mixture.experts.assign(static_cast<size_t>(options.experts), expert);
  mixture.losses.assign(mixture.experts.size(), LossKind::softmax);
  const Tensor images = noise(options);
  Gater& gater = mixture.partition.gater;
  gater.experts = options.experts;
  gater.centroids = features_of(mixture.base, images);
  gater.inputs = gater.centroids.size(1);
  gater.prices.assign(static_cast<size_t>(options.experts), 0);
  save_npy(options.out / "images.npy", as_input(images));
  write_model_file(options.out / "base.onnx", mixture.base, std::nullopt, {});
  write_mixture_file(options.out / "rows.onnx", mixture, {}, std::nullopt, {});
  write_mixture_file(options.out / "branches.onnx", mixture, {}, std::nullopt, {.one_image = true});
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App cli("Write mixtures of untrained ResNet-18s as ONNX files, to be timed");
  cli.add_option("--out", options.out, "Folder")->required();
  cli.add_option("--experts", options.experts, "K")->capture_default_str();
  cli.add_option("--width", options.model.width, "Channels of the first stage")
      ->capture_default_str();
  cli.add_option("--image", options.model.image_size, "Pixels")->capture_default_str();
  cli.add_option("--tags", options.tags, "V")->capture_default_str();
  CLI11_PARSE(cli, argc, argv);
  try {
    run(options);
  } catch (const std::exception& error) {
    std::cerr << "bench-onnx: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
