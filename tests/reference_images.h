// The stored network reference as images of a dataset: what PyTorch answers for each is known.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <string>

#include "data/dataset.h"
#include "data/tar.h"
#include "engine/network_facts.h"
#include "image/codec.h"
#include "ingest/ingest.h"
#include "nn/resnet.h"
#include "references/closed_form.h"
#include "temporary_folder.h"
#include "tensor/safetensors.h"
#include "test_files.h"

namespace hardmoe {

/// ResNet-18 of width 16 and 10 tags, with the weights and the first four images of
/// tests/files/resnet18_small_w16.safetensors: "eval.features" (4×D) and "eval.logits" (4×10) of
/// `stored` are PyTorch's answers, in the split's order.
struct ReferenceImages {
  static constexpr int64_t images = 4, tags = 10;

  ReferenceImages() {
    TarWriter tar(folder / "images.tar");
    const Tensor& pixels = stored.at("images");
    const int64_t side = pixels.size(1);
    for (int64_t i = 0; i < images; ++i) {
      Tensor image(DType::u8, {side, side, 3});
      std::copy_n(pixels.as<uint8_t>().data() + i * side * side * 3, side * side * 3,
                  image.as<uint8_t>().data());
      tar.add(std::to_string(i) + ".png", encode_png(image));
      tar.add(std::to_string(i) + ".txt", "picture");
    }
    tar.finish();
    IngestOptions options;
    options.sources = {(folder / "images.tar").string()};
    options.out = folder / "data";
    ingest(options);
    data = std::make_unique<Dataset>(Dataset::open(folder / "data"));
  }

  const Split& split() const { return data->split("train"); }

  /// The stored network's weights.
  static StateDict weights() {
    StateDict result;
    for (const auto& spec : parameters_of(resnet(model(), tags))) {
      result.emplace(spec.name, reference_parameter(spec.name, spec.shape));
    }
    return result;
  }

  static ModelConfig model() {
    return {.depth = 18, .stem = Stem::small, .width = 16, .image_size = 32};
  }

  /// Expects `found` to be row `image` of the stored answer, as nearly as the engine's own tests
  /// do.
  void expect_answer(const char* name, int64_t image, std::span<const float> found) const {
    const auto width = static_cast<size_t>(stored.at(name).size(1));
    ASSERT_EQ(found.size(), width);
    const auto expected =
        stored.at(name).as<float>().subspan(static_cast<size_t>(image) * width, width);
    double difference = 0, norm = 0;
    for (size_t i = 0; i < width; ++i) {
      const double e = double{expected[i]};
      difference += std::pow(double{found[i]} - e, 2);
      norm += e * e;
    }
    EXPECT_LE(std::sqrt(difference / norm), 1e-5) << name << " of image " << image;
  }

  TemporaryFolder folder;
  StateDict stored = load_safetensors(test_file("resnet18_small_w16.safetensors"));
  std::unique_ptr<Dataset> data;
};

}  // namespace hardmoe
