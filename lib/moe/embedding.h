// An embedding on disk, of any size: N×D .npy files of float16, float32 or float64, from moe-embed
// or from anything else that writes .npy; one part after another where there are several.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "base/json.h"
#include "cluster/row_source.h"
#include "tensor/npy.h"

namespace hardmoe {

/// One thread at a time may read it (and uses all of them).
class Embedding final : public RowSource {
 public:
  /// `files` in the order of their rows. Throws Error naming a file that is not a matrix of
  /// floating numbers with at least one row, or whose rows are of another length than the first
  /// one's.
  explicit Embedding(const std::vector<std::filesystem::path>& files);

  int64_t rows() const override { return first_.back(); }
  int64_t cols() const override { return cols_; }
  /// Throws Error naming the file and row of a NaN, an infinity, or a value whose square leaves
  /// float32 (most_magnitude).
  void read(int64_t first, int64_t count, float* out) const override;
  /// Of float32 files, as read(); null where the rows are not of one part.
  const float* view(int64_t first, int64_t count) const override;
  void expect(int64_t first, int64_t count) const override;

 private:
  size_t part_of(int64_t row) const;
  const InputFile& file_of(size_t part) const;
  void read_part(size_t part, int64_t first, int64_t count, float* out) const;
  void check_finite(size_t part, int64_t first, int64_t count, const float* rows) const;

  std::vector<NpyReader> parts_;
  std::vector<int64_t> first_;  ///< parts + 1: each part's first row, and the end
  int64_t cols_ = 0;
  mutable std::unique_ptr<InputFile> open_;  ///< the part read last
  mutable size_t open_part_ = 0;
  mutable MappedPiece viewed_;
  mutable int64_t finite_ = 0;  ///< rows below this were looked at
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
