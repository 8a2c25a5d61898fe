// An embedding on disk: one or several N×D .npy files of float16, float32 or float64 whose rows
// follow one another, written by moe-embed or any other tool. May be larger than memory. Not for
// features computed from images now: see embed() in mixture.h.
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

/// The rows of one or several files as one matrix. Use it from one thread at a time; each call uses
/// all threads. For files that moe-embed recorded, the first pass over all rows also compares their
/// checksums.
class Embedding final : public RowSource {
 public:
  /// Opens `files`, in the order of their rows. Throws Error(usage) naming a file that is not a
  /// non-empty matrix of floating-point numbers, or whose row length differs from the first file's.
  explicit Embedding(const std::vector<std::filesystem::path>& files);

  int64_t rows() const override { return first_.back(); }
  int64_t cols() const override { return cols_; }
  /// Copies rows as float32. Throws Error naming the file and row of a NaN, an infinity, or a value
  /// so large that its square overflows float32 (most_magnitude).
  void read(int64_t first, int64_t count, float* out) const override;
  /// Maps rows of a float32 file, checked as by read(). Returns null for other types, and if the
  /// rows are not all in one file.
  const float* view(int64_t first, int64_t count) const override;
  void prefetch(int64_t first, int64_t count) const override;

  /// Throws Error naming a file that differs from its recorded checksum. Reads only files that were
  /// not fully read yet. Call it before using anything made from the rows.
  void require_as_recorded() const;

 private:
  /// A file's checksum over the rows read in order so far.
  struct Passage {
    std::optional<RecordedFile> record;
    uint32_t crc32c = 0;
    int64_t rows = 0;  ///< covered so far
  };
  /// Rows cut into slices for threads, with checksums of those that are read for the first time.
  struct Slices;
  size_t piece_of(int64_t row) const;
  const InputFile& file_of(size_t piece) const;
  void read_piece(size_t piece, int64_t first, int64_t count, float* out) const;
  std::vector<double> stored_row(size_t piece, int64_t row) const;
  void check_finite(size_t piece, int64_t first, int64_t count, const float* rows) const;

  void pass(size_t piece, const Slices& slices) const;

  std::vector<NpyReader> pieces_;
  mutable std::vector<Passage> passages_;
  std::vector<int64_t> first_;  ///< the first row of each file, then the number of all rows
  int64_t cols_ = 0;
  mutable std::unique_ptr<InputFile> open_;  ///< the file read last
  mutable size_t open_piece_ = 0;
  mutable MappedPiece viewed_;
  mutable int64_t finite_ = 0;  ///< rows below this are known to be finite
};

/// The files of an embedding of the training images, and its identity for a stage's inputs.
struct EmbeddingInput {
  std::vector<std::filesystem::path> files;
  Json identity;  ///< "embedding": a fingerprint; if moe-embed made it, also "dataset" and "model"
};

/// Finds the embedding that `paths` name: a folder made by moe-embed, or its train.npy, or a folder of
/// all its parts (moe/embedding_parts.h); or .npy files, and folders of these in the order of their
/// names. Throws Error(usage) for anything else.
EmbeddingInput find_embedding(const std::vector<std::filesystem::path>& paths);

/// Finds an external embedding (one that moe-embed did not compute with a single model; a base
/// computes such features itself). Each of `given` is a file or folder as for find_embedding, or
/// several separated by commas. Throws Error(usage) for an embedding by a single model of ours.
EmbeddingInput find_external_features(const std::vector<std::string>& given);

}  // namespace hardmoe
