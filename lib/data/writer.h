// Writers for a dataset's files: shards and index columns, none of them held in memory. For ingest
// and part_shards; not for readers, see data/dataset.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "data/tar.h"
#include "tensor/npy.h"

namespace hardmoe {

/// A shard as dataset.json lists it.
struct ShardRecord {
  std::string path;  ///< relative to the dataset's folder, or absolute
  int64_t bytes = 0;
  std::string sha256;  ///< empty until the shard is closed
};

/// Returns the next shard's number. Throws Error beyond 65,536, the most an index can number.
uint16_t next_shard_number(const std::vector<ShardRecord>& shards);

/// The shards of an index, by number. Kept in a file that gets a line when a shard is added and
/// another when it is closed.
class ShardList {
 public:
  ShardList() = default;
  /// Opens the list. `keep`: the valid bytes of the file. `check`: throws if they are damaged.
  ShardList(const std::filesystem::path& file, int64_t keep,
            const std::function<void(AppendFile&)>& check);
  const std::vector<ShardRecord>& records() const { return records_; }
  /// Adds a shard and returns its number, as next_shard_number() does.
  uint16_t add(const std::string& path, int64_t bytes);
  /// Records a finished shard.
  void close(uint16_t number, int64_t bytes, const std::string& sha256);
  AppendFile& file() { return lines_; }

 private:
  void write(uint16_t number);
  std::vector<ShardRecord> records_;
  AppendFile lines_;
};

/// Returns what to do if the unfinished work in a dataset's folder is damaged.
std::string remedy_for_work(const std::filesystem::path& out);

/// Where an image is: bytes [offset, offset + length) of a shard.
struct ImageLocation {
  uint16_t shard = 0;
  int64_t offset = 0;
  int32_t length = 0;
};

/// Writes images and their tags into DIR/shards/NAME-000000.tar …, and begins a new shard after
/// `shard_bytes`. An open shard is continued after an interruption.
class ShardWriter {
 public:
  ShardWriter(std::filesystem::path folder, std::string name, int64_t shard_bytes,
              ShardList& shards);
  /// Adds KEY.extension and KEY.json; returns where the image is.
  ImageLocation add(const std::string& key, std::string_view extension, std::string_view image,
                    const Json& metadata);
  /// Closes the open shard.
  void finish();

  /// Puts what was added on the disk and returns what resume() needs.
  Json checkpoint();
  /// Continues from checkpoint()'s result (null: from the beginning). Throws Error if files are
  /// damaged.
  void resume(const Json& state);

 private:
  void close();
  std::string shard_path(int number) const;
  std::filesystem::path folder_;
  std::string name_;
  int64_t shard_bytes_;
  ShardList& shards_;
  std::unique_ptr<TarWriter> tar_;
  uint16_t number_ = 0;
  int written_ = 0;
};

/// Returns the checksums of files in a split's folder, for dataset.json:
/// {"files": {name: sha256}, "crc32c": {name: …}}.
Json index_checksums(const std::filesystem::path& folder, const std::vector<std::string>& names);

/// Writes one split's index row by row.
class IndexWriter {
 public:
  /// Creates the files in `folder`.
  IndexWriter(const std::filesystem::path& folder, bool has_truth);
  /// Returns the names of all files it may write.
  static std::vector<std::string> file_names();
  int64_t size() const { return size_; }
  int64_t tags() const { return tags_; }
  int64_t truth() const { return truth_; }
  /// Appends a row. Sorts `tags` and `truth`, as the format requires.
  void add(std::string_view key, const ImageLocation& location, std::vector<int32_t>& tags,
           std::vector<int32_t>& truth);
  /// Closes the files and returns their index_checksums().
  Json finish();

 private:
  std::filesystem::path folder_;
  bool has_truth_;
  int64_t size_ = 0, tags_ = 0, truth_ = 0;
  NpyWriter shard_, offset_, length_, tag_ptr_, tag_ids_;
  std::optional<NpyWriter> truth_ptr_, truth_ids_;
  AtomicFile keys_;
};

}  // namespace hardmoe
