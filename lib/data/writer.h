// The files of a dataset as they are written: shards and index columns, neither held in memory. For
// ingest.
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

struct ShardRecord {
  std::string path;  ///< relative to the dataset's folder, or absolute
  int64_t bytes = 0;
  std::string sha256;  ///< empty until it is closed
};

/// Throws Error where a shard more would be more than an index can number (65536).
uint16_t next_shard_number(const std::vector<ShardRecord>& shards);

/// The shards an index counts on, by number; kept in a file, a line when one is added and another
/// when it is closed.
class ShardList {
 public:
  ShardList() = default;
  /// `keep`: as much of the file as counts. check: throws where that is damaged.
  ShardList(const std::filesystem::path& file, int64_t keep,
            const std::function<void(AppendFile&)>& check);
  const std::vector<ShardRecord>& records() const { return records_; }
  /// See next_shard_number().
  uint16_t add(const std::string& path, int64_t bytes);
  void close(uint16_t number, int64_t bytes, const std::string& sha256);
  AppendFile& file() { return lines_; }

 private:
  void write(uint16_t number);
  std::vector<ShardRecord> records_;
  AppendFile lines_;
};

/// What to do where the unfinished work in a dataset's folder is damaged.
std::string remedy_for_work(const std::filesystem::path& out);

struct ImagePlace {
  uint16_t shard = 0;
  int64_t offset = 0;
  int32_t length = 0;
};

/// Writes images and their tags into DIR/shards/NAME-000000.tar …, a new one each `shard_bytes`.
/// The one that is open goes on after an interruption.
class ShardWriter {
 public:
  ShardWriter(std::filesystem::path folder, std::string name, int64_t shard_bytes,
              ShardList& shards);
  /// Adds KEY.extension and KEY.json.
  ImagePlace add(const std::string& key, std::string_view extension, std::string_view image,
                 const Json& metadata);
  void finish();

  /// Puts what was added on the disk; what resume() needs to know of it.
  Json checkpoint();
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

/// {"files": {name: sha256}, "crc32c": {name: …}} of files in a split's folder, for dataset.json.
Json index_checksums(const std::filesystem::path& folder, const std::vector<std::string>& names);

/// One split's index, written row by row.
class IndexWriter {
 public:
  IndexWriter(const std::filesystem::path& folder, bool has_truth);
  /// All it may write.
  static std::vector<std::string> file_names();
  int64_t size() const { return size_; }
  int64_t tags() const { return tags_; }
  int64_t truth() const { return truth_; }
  /// Sorts the ids, as the format wants them.
  void add(std::string_view key, const ImagePlace& place, std::vector<int32_t>& tags,
           std::vector<int32_t>& truth);
  /// Closes the files; returns their index_checksums().
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
