// The images that are searched: those of a dataset's splits, with their rows of one embedding.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "tensor/tensor.h"

namespace hardmoe {

/// Opened images and their rows; rows of several splits follow one another.
class Collection {
 public:
  /// Reads the rows that `embedding`, a folder, holds as SPLIT.npy (of moe-embed, moe-train-decoder,
  /// or another tool) of the splits that `dataset` has; there is one at least. Throws Error(usage) if
  /// there is none, if they are of another dataset, have other numbers of rows than images, or other
  /// widths; Error if a file is damaged.
  Collection(const std::filesystem::path& dataset, const std::filesystem::path& embedding);

  int64_t size() const { return rows_.size(0); }
  /// Returns the images' rows at length 1, N×D float32.
  const Tensor& rows() const { return rows_; }
  const Vocabulary& vocabulary() const { return dataset_.vocabulary(); }
  /// Returns the split of an image, and its number there.
  std::pair<const Split*, int64_t> place(int64_t image) const;
  /// Returns "SHARD.tar: KEY".
  std::string where(int64_t image) const;
  /// Returns the images that have the key, ascending: one, or one in each of several splits. Throws
  /// Error(usage) if there is none.
  std::vector<int64_t> with_key(const std::string& key) const;

 private:
  Dataset dataset_;
  std::vector<const Split*> splits_;
  std::vector<int64_t> first_;  ///< image of each split, then the number of all
  Tensor rows_;
};

}  // namespace hardmoe
