// What an image's row of the unified embedding holds, by EmbeddingKind: the feature h_e of its
// expert, the blend a·h_b + (1−a)·h_e with the base's, or both one after the other. And the decoder
// that reads such rows.
//
//   A linear decoder W reads a blend as W(a·h_b + (1−a)·h_e) = a·W h_b + (1−a)·W h_e: the geometric
//   mix of base and expert by one head, in one space.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "train/decoder_folder.h"

namespace hardmoe {

/// Returns the values of a row, of features of `width` values: D, or 2D for both.
int64_t embedding_width(EmbeddingKind kind, int64_t width);

/// Writes the row of one image. `base` and `expert`: features of `width` values; `share`: a.
void write_embedding_row(EmbeddingKind kind, double share, const float* base, const float* expert,
                         int64_t width, float* out);

/// Returns the rows of N images (N×D or N×2D) of their features from base and experts (N×D).
Tensor combined_embedding(EmbeddingKind kind, double share, const Tensor& base,
                          const Tensor& experts);

/// Returns the weights a decoder of that kind begins with: the base's head (fc.weight, fc.bias); for
/// both, [a·W, (1−a)·W], which answers as the blend does.
StateDict first_decoder(const StateDict& base, EmbeddingKind kind, double share);

/// A shared decoder compiled to score rows of the unified embedding.
class DecoderScores {
 public:
  /// `weights`: fc.weight (V×width) and fc.bias.
  DecoderScores(Engine& engine, const StateDict& weights, Precision precision, int64_t batch = 128);

  /// Returns where to write the rows of a batch: room for `batch` rows.
  float* rows() { return batch_.input.as<float>().data(); }
  int64_t width() const { return batch_.input.size(1); }
  /// Returns the logits of the first `count` rows, count×V, valid until the next call.
  std::span<const float> score(int64_t count);

 private:
  std::unique_ptr<Program> program_;
  Batch batch_;
  int64_t tags_;
  std::vector<float> logits_;
};

}  // namespace hardmoe
