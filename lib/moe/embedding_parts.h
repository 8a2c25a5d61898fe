// An embedding made by several processes, each of them a part of the images: OUT/part-03-of-16, a stage
// of its own. Read as one by moe/embedding.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace hardmoe {

/// One of several parts of nearly equal size.
struct EmbeddingPart {
  int64_t number = 1;  ///< from 1
  int64_t of = 1;      ///< how many there are; 1: all images

  bool is_all() const { return of == 1; }
  /// Returns the first of its rows of `rows`, and the one after its last.
  std::pair<int64_t, int64_t> rows_of(int64_t rows) const;
};

/// Returns the part that "3/16" names. Throws Error(usage) for anything else.
EmbeddingPart parse_embedding_part(const std::string& text);

/// Returns the folder of a part of the embedding `out`; `out` itself for all images.
std::filesystem::path folder_of_part(const std::filesystem::path& out, const EmbeddingPart& part);

/// Returns the folders of the parts that `out` holds, in the order of their rows; none if it holds no
/// part. Throws Error(usage) if some are missing, or if parts of different numbers are mixed.
std::vector<std::filesystem::path> part_folders(const std::filesystem::path& out);

}  // namespace hardmoe
