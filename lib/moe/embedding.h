// An embedding on disk, of any size: N×D .npy files of float16, float32 or float64, from moe-embed
// or from anything else that writes .npy; one part after another where there are several.
#pragma once

#include <filesystem>
#include <vector>

#include "base/json.h"
#include "cluster/row_source.h"
#include "tensor/npy.h"

namespace hardmoe {

class Embedding final : public RowSource {
 public:
  /// `files` in the order of their rows. Throws Error naming a file that is not a matrix of
  /// floating numbers with at least one row, or whose rows are of another length than the first
  /// one's.
  explicit Embedding(const std::vector<std::filesystem::path>& files);

  int64_t rows() const override { return first_.back(); }
  int64_t cols() const override { return cols_; }
  /// Throws Error naming the file and row of a NaN or an infinity.
  void read(int64_t first, int64_t count, float* out) const override;
  void expect(int64_t first, int64_t count) const override;

 private:
  void read_part(size_t part, int64_t first, int64_t count, float* out) const;

  std::vector<NpyReader> parts_;
  std::vector<int64_t> first_;  ///< parts + 1: each part's first row, and the end
  int64_t cols_ = 0;
};

/// The training images' features, and what tells them from others in a stage's inputs.
struct EmbeddingInput {
  std::vector<std::filesystem::path> files;
  Json identity;
};

/// `paths`: a folder made by moe-embed; or .npy files, folders of such parts in the order of their
/// names. Throws Error for anything else.
EmbeddingInput find_embedding(const std::vector<std::filesystem::path>& paths);

}  // namespace hardmoe
