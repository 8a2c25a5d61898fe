// What the tests of this room share: pictures as a dataset, and models whose weights are a closed
// form, so that nothing is trained.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/tar.h"
#include "engine/network_facts.h"
#include "image/codec.h"
#include "ingest/ingest.h"
#include "nn/resnet.h"
#include "outside.h"
#include "references/closed_form.h"
#include "temporary_folder.h"

namespace hardmoe {

/// The model of all mixtures here.
inline ModelConfig small_model() {
  return {.depth = 18, .stem = Stem::small, .width = 8, .image_size = 32};
}

/// Weights whose values begin with `seed`: two seeds are two networks.
inline StateDict closed_form_weights(const Network& network, const std::string& seed) {
  StateDict weights;
  for (const auto& spec : parameters_of(network)) {
    weights.emplace(spec.name, reference_parameter(seed + spec.name, spec.shape));
  }
  return weights;
}

/// Some 50 images: photographs of HARDMOE_TINYTAGS, or where that is not set, stripes.
class Pictures {
 public:
  explicit Pictures(const std::filesystem::path& folder) {
    const auto [tar, missing] = outside("HARDMOE_TINYTAGS", "tinytags-val-000.tar");
    IngestOptions options;
    options.sources = {tar.empty() ? stripes(folder) : tar.string()};
    options.max_tags = 20;
    if (!tar.empty()) options.sample = 0.015;  // of 4,000
    options.out = folder / "data";
    ingest(options);
    data_ = std::make_unique<Dataset>(Dataset::open(folder / "data"));
  }

  const Split& split() const { return data_->split("train"); }
  int64_t tags() const { return data_->vocabulary().size(); }
  static constexpr int64_t count = 48;

  std::vector<int64_t> items() const {
    std::vector<int64_t> items(static_cast<size_t>(std::min(count, split().size())));
    for (size_t i = 0; i < items.size(); ++i) items[i] = static_cast<int64_t>(i);
    return items;
  }

 private:
  static std::string stripes(const std::filesystem::path& folder) {
    const auto file = folder / "pictures.tar";
    TarWriter tar(file);
    for (int i = 0; i < count; ++i) {
      Tensor image(DType::u8, {48, 40, 3});
      const auto draws = reference_stream("picture " + std::to_string(i), image.elements());
      const auto pixels = image.as<uint8_t>();
      for (size_t p = 0; p < pixels.size(); ++p) {
        const auto row = static_cast<int>(p / 120);
        pixels[p] = static_cast<uint8_t>(128 + 60 * draws[p] + 60 * ((row / (1 + i % 7)) % 2));
      }
      tar.add(std::to_string(i) + ".png", encode_png(image));
      tar.add(std::to_string(i) + ".txt", i % 2 == 0 ? "even, all" : "odd, all");
    }
    tar.finish();
    return file.string();
  }

  std::unique_ptr<Dataset> data_;
};

}  // namespace hardmoe
