// An embedding on disk, of any size: N×D .npy files of float16, float32 or float64, from moe-embed
// or from anything else that writes .npy; one part after another where there are several.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "base/json.h"
#include "base/recorded.h"
#include "cluster/row_source.h"
#include "tensor/npy.h"

namespace hardmoe {

/// One thread at a time may read it (and uses all of them). Of parts that moe-embed recorded, the
/// first pass over all rows compares the checksum.
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

  /// Throws Error naming a part that is not as it was recorded. Reads only what no pass has read;
  /// before anything made of the rows counts.
  void require_as_recorded() const;

 private:
  /// A part's checksum, as far as its rows were read in order.
  struct Passage {
    std::optional<RecordedFile> record;
    uint32_t crc32c = 0;
    int64_t rows = 0;  ///< passed
  };
  /// Rows cut for threads, and the checksums of those among them that pass the first time.
  struct Slices;
  size_t part_of(int64_t row) const;
  const InputFile& file_of(size_t part) const;
  void read_part(size_t part, int64_t first, int64_t count, float* out) const;
  std::vector<double> stored_row(size_t part, int64_t row) const;
  void check_finite(size_t part, int64_t first, int64_t count, const float* rows) const;

  void pass(size_t part, const Slices& slices) const;

  std::vector<NpyReader> parts_;
  mutable std::vector<Passage> passages_;
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

/// `paths`: a folder made by moe-embed, or its train.npy; or .npy files, folders of such parts in
/// the order of their names. Throws Error for anything else. `identity`: "embedding"; where
/// moe-embed made it also "dataset" and "model".
EmbeddingInput find_embedding(const std::vector<std::filesystem::path>& paths);

/// Files and folders of parts as find_embedding takes them, of an embedding of one's own. Each of
/// `given` is a path, or several with commas between. Throws Error(usage) for what moe-embed made
/// by a single model, whose features a base has itself.
EmbeddingInput find_own_features(const std::vector<std::string>& given);

}  // namespace hardmoe
