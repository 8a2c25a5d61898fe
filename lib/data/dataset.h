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
#include "tensor/npy.h"

namespace hardmoe {

/// The tags kept, most frequent first.
struct Vocabulary {
  std::vector<std::string> tags;
  std::vector<int64_t> counts;  ///< images of the training split with the tag
  int64_t size() const { return static_cast<int64_t>(tags.size()); }
};

/// tags.tsv: a heading, then a line a tag: id, tag, count.
void save_vocabulary(const std::filesystem::path& file, const Vocabulary& vocabulary);
/// The tags.tsv that a path stands for: the file itself, or a dataset's or model's. Throws
/// Error(usage) where there is none, Error where it is not as its stage recorded it.
std::filesystem::path vocabulary_file(const std::filesystem::path& dataset_or_file);
/// Throws Error naming the line that is not so.
Vocabulary load_vocabulary(const std::filesystem::path& file);

/// The format of dataset.json and of what it describes.
inline constexpr FileFormat dataset_format{"dataset", 1};

/// dataset.json. Throws Error naming the file for a newer format than is known.
Json read_dataset_record(const std::filesystem::path& file);

/// A mapped tar; empty if it is not on this machine.
struct Shard {
  std::filesystem::path path;
  MappedFile file;
};

/// One split ("train", "val") of a dataset; item numbers run from 0 to size()-1. What is asked of a
/// damaged index throws Error naming its file.
class Split {
 public:
  Split(std::filesystem::path folder, std::string name,
        std::shared_ptr<const std::vector<Shard>> shards, int64_t vocabulary_size,
        std::vector<RecordedFile> index = {});

  const std::string& name() const { return name_; }
  int64_t size() const;
  /// Throws Error naming a file of the index that is not as dataset.json recorded it. Who goes over
  /// the split's images asks this first; it is looked at once. Shards are for verify_dataset().
  void require_index() const;
  std::span<const int32_t> tags(int64_t item) const;
  /// Whether the images also carry clean labels to evaluate against.
  bool has_truth() const { return truth_ids_.has_value(); }
  /// Empty where an image's truth is unknown. Throws Error(usage) unless has_truth().
  std::span<const int32_t> truth(int64_t item) const;
  /// The encoded image (JPEG, PNG, WebP), inside its mapped shard.
  std::span<const std::byte> image(int64_t item) const;
  /// Which of shards() that is.
  size_t shard_of(int64_t item) const;
  const std::vector<Shard>& shards() const { return *shards_; }
  std::string key(int64_t item) const;
  /// "SHARD.tar: KEY", for messages about an image.
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

enum class DatasetRecords {
  compared,
  unread,  ///< for verify_dataset(), which tells all that is wrong
};

class Dataset {
 public:
  /// Throws Error naming the file if anything is missing, truncated, or inconsistent, if a shard no
  /// longer has the recorded size, or dataset.json or tags.tsv is not as recorded. A dataset laid
  /// out by parts (data/part_shards.h) may lack shards; asking for an image of such a one throws.
  static Dataset open(const std::filesystem::path& folder,
                      DatasetRecords records = DatasetRecords::compared);

  const std::filesystem::path& folder() const { return folder_; }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  /// Throws Error(usage) naming the splits there are.
  const Split& split(const std::string& name) const;
  std::vector<std::string> split_names() const;
  bool has_split(const std::string& name) const { return splits_.contains(name); }
  /// SHA-256 of dataset.json, which holds the checksums of the shards and the index; of a dataset
  /// that was only laid out anew, that of the one it was made from.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  std::filesystem::path folder_;
  Vocabulary vocabulary_;
  std::map<std::string, Split> splits_;
  std::string fingerprint_;
};

}  // namespace hardmoe
