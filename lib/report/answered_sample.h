// What base and experts answer to some images that no network was trained on, and these images'
// features: what pictures of a report need and no stage has stored. The networks are run anew, on a
// bounded number of images.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "engine/engine.h"
#include "report/run_view.h"

namespace hardmoe {

/// One network's answer to one image.
struct ImageAnswer {
  static constexpr size_t tags = 10;
  std::array<int32_t, tags> top = {};  ///< the likeliest tags, best first; −1 beyond the last
  float probability = 0;               ///< of the first
  double loss = 0;                     ///< image_loss() against the image's tags

  /// Returns whether `tag` is among the first `k`.
  bool has(int32_t tag, size_t k = tags) const;
  /// Returns whether the likeliest tag is one of `own`.
  bool is_right(std::span<const int32_t> own) const;
};

/// n images of the evaluated split that have tags.
struct AnsweredSample {
  std::vector<int64_t> items;        ///< n, ascending
  std::vector<uint16_t> experts;     ///< n: whose each image is
  Tensor base_features;              ///< n×D
  Tensor unified;                    ///< n×D or n×2D: rows of the unified embedding
  std::vector<ImageAnswer> base;     ///< n
  std::vector<ImageAnswer> mixture;  ///< n: with local decoders, as the run's row 'local' mixes
};

/// Returns the answers to at most `most` images, at equal distances. The run must have its data set,
/// its base and experts, and the evaluation 'local', which says where images are routed. Of several
/// experts asked for an image the first one answers.
AnsweredSample answer_sample(const RunView& run, int64_t most, Engine& engine);

}  // namespace hardmoe
