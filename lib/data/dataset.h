// A dataset on disk: WebDataset tar shards and a memory-mapped index over them. Opening reads only
// headers. Not for making one: see ingest/ingest.h.
//
//   DIR/dataset.json      splits, shards (path, bytes, sha256), options, counts: its identity
//   DIR/tags.tsv          id, tag, count in train; id = rank by count
//   DIR/<split>/
//     shard.npy           u16, N      the number of the shard an image is in
//     offset.npy          i64, N      where its bytes begin in there
//     length.npy          i32, N      how many they are
//     tag_ptr.npy         i64, N+1    image i's tags are tag_ids[k], ascending,
//     tag_ids.npy         i32         for k from tag_ptr[i] to tag_ptr[i+1]-1
//     truth_ptr.npy, truth_ids.npy    the same of the truth; only where the data has one
//     keys.txt            one key a line
//   DIR/shards/*.tar      only if the images were rewritten
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/recorded.h"
#include "data/image_set.h"
#include "tensor/npy.h"

namespace hardmoe {

/// The tags kept, most frequent first.
struct Vocabulary {
  std::vector<std::string> tags;
  std::vector<int64_t> counts;  ///< images of the training split with the tag
  int64_t size() const { return static_cast<int64_t>(tags.size()); }
};

/// Writes tags.tsv: a heading, then one line for each tag: id, tag, count.
void save_vocabulary(const std::filesystem::path& file, const Vocabulary& vocabulary);
/// Returns the path of tags.tsv, given that file or the folder of a dataset or model. Throws
/// Error(usage) if there is none, Error if it differs from what its stage recorded.
std::filesystem::path vocabulary_file(const std::filesystem::path& dataset_or_file);
/// Reads tags.tsv. Throws Error naming the line that is malformed.
Vocabulary load_vocabulary(const std::filesystem::path& file);

/// The format of dataset.json and of the files it lists.
inline constexpr FileFormat dataset_format{"dataset", 1};

/// Reads dataset.json. Throws Error naming the file if its format is newer than this version.
Json read_dataset_record(const std::filesystem::path& file);

/// A mapped tar; empty if the file is not on this machine.
struct Shard {
  std::filesystem::path path;
  MappedFile file;
};

/// One split ("train", "val") of a dataset. Item numbers run from 0 to size()-1. Functions that
/// find the index damaged throw Error naming its file.
class Split final : public ImageSet {
 public:
  Split(std::filesystem::path folder, std::string name,
        std::shared_ptr<const std::vector<Shard>> shards, int64_t vocabulary_size,
        std::vector<RecordedFile> index = {});

  const std::string& name() const { return name_; }
  int64_t size() const override;
  /// Decodes them in background threads, each time anew.
  std::unique_ptr<BatchSource> views(const std::vector<int64_t>& items, int64_t batch,
                                     const ViewForm& form) const override;
  /// Throws Error naming an index file that differs from what dataset.json recorded. Call it before
  /// going over the split's images; files are compared once. Shards are compared by
  /// verify_dataset().
  void require_index() const;
  /// Returns the tag ids of an image, ascending.
  std::span<const int32_t> tags(int64_t item) const;
  /// Returns whether the images also have ground truth, clean labels to evaluate against.
  bool has_truth() const { return truth_ids_.has_value(); }
  /// Returns the ids of an image's ground truth, empty if unknown. Throws Error(usage) unless
  /// has_truth().
  std::span<const int32_t> truth(int64_t item) const;
  /// Returns the encoded image (JPEG, PNG, WebP) inside its mapped shard.
  std::span<const std::byte> image(int64_t item) const;
  /// Returns the index in shards() of the image's shard.
  size_t shard_of(int64_t item) const;
  const std::vector<Shard>& shards() const { return *shards_; }
  std::string key(int64_t item) const;
  /// Returns "SHARD.tar: KEY", for messages about an image.
  std::string where(int64_t item) const;

 private:
  struct Keys;
  struct Index;
  std::span<const int32_t> row(const MappedNpy& ptr, const MappedNpy& ids, int64_t item) const;

  std::filesystem::path folder_;
  std::string name_;
  std::shared_ptr<const std::vector<Shard>> shards_;
  int64_t vocabulary_size_;
  MappedNpy shard_, offset_, length_, tag_ptr_, tag_ids_;
  std::optional<MappedNpy> truth_ptr_, truth_ids_;
  std::shared_ptr<Keys> keys_;
  std::shared_ptr<Index> index_;
};

/// Whether opening a dataset compares its files with their recorded checksums.
enum class DatasetRecords {
  compared,
  unread,  ///< for verify_dataset(), which reports every fault instead of throwing
};

/// An opened dataset: vocabulary and splits.
class Dataset {
 public:
  /// Opens a dataset. Throws Error naming the file if anything is missing, truncated or
  /// inconsistent, if a shard's size has changed, or if dataset.json or tags.tsv differ from what
  /// was recorded. A dataset laid out by parts (data/part_shards.h) may lack shards; only asking
  /// for an image in a missing one throws.
  static Dataset open(const std::filesystem::path& folder,
                      DatasetRecords records = DatasetRecords::compared);

  const std::filesystem::path& folder() const { return folder_; }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  /// Returns a split. Throws Error(usage) naming the existing splits.
  const Split& split(const std::string& name) const;
  std::vector<std::string> split_names() const;
  bool has_split(const std::string& name) const { return splits_.contains(name); }
  /// Returns the SHA-256 of dataset.json, which holds the checksums of shards and index. A dataset
  /// that was only laid out anew keeps the fingerprint of the one it was made from.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  std::filesystem::path folder_;
  Vocabulary vocabulary_;
  std::map<std::string, Split> splits_;
  std::string fingerprint_;
};

}  // namespace hardmoe
