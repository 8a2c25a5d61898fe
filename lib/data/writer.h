// The files of a dataset as they are written: shards, index columns, rejected items. For
// ingest.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "data/tar.h"

namespace hardmoe {

/// The shards an index counts on, by number.
struct ShardRecord {
  std::string path;  ///< relative to the dataset's folder, or absolute
  int64_t bytes = 0;
  std::string sha256;
};

/// Throws Error where a shard more would be more than an index can number (65536).
uint16_t next_shard_number(const std::vector<ShardRecord>& shards);

struct ImagePlace {
  uint16_t shard;
  int64_t offset;
  int32_t length;
};

/// Writes images and their tags into DIR/shards/NAME-000000.tar …, a new one each `shard_bytes`.
class ShardWriter {
 public:
  ShardWriter(std::filesystem::path folder, std::string name, int64_t shard_bytes,
              std::vector<ShardRecord>& shards);
  /// Adds KEY.extension and KEY.json.
  ImagePlace add(const std::string& key, std::string_view extension, std::string_view image,
                 const Json& metadata);
  void finish();

 private:
  void open();
  void close();
  std::filesystem::path folder_;
  std::string name_;
  int64_t shard_bytes_;
  std::vector<ShardRecord>& shards_;
  std::unique_ptr<TarWriter> tar_;
  uint16_t number_ = 0;
  int written_ = 0;
};

/// One split's index, gathered in memory and written at the end.
struct SplitIndex {
  std::vector<uint16_t> shard;
  std::vector<int64_t> offset;
  std::vector<int32_t> length;
  std::vector<int64_t> tag_ptr{0}, truth_ptr{0};
  std::vector<int32_t> tag_ids, truth_ids;
  std::string keys;  ///< a line each
  bool has_truth = false;

  int64_t size() const { return static_cast<int64_t>(shard.size()); }
  /// Sorts the ids, as the format wants them.
  void add(const std::string& key, const ImagePlace& place, std::vector<int32_t> tags,
           std::vector<int32_t> truth);
  /// Writes the files into `folder`; returns {file name: sha256}.
  Json write(const std::filesystem::path& folder) const;
};

}  // namespace hardmoe
