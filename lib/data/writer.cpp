#include "data/writer.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace fs = std::filesystem;

uint16_t next_shard_number(const std::vector<ShardRecord>& shards) {
  if (shards.size() > std::numeric_limits<uint16_t>::max()) {
    fail("more than 65536 shards; pack the images into fewer, larger tars");
  }
  return static_cast<uint16_t>(shards.size());
}

ShardWriter::ShardWriter(fs::path folder, std::string name, int64_t shard_bytes,
                         std::vector<ShardRecord>& shards)
    : folder_(std::move(folder)),
      name_(std::move(name)),
      shard_bytes_(shard_bytes),
      shards_(shards) {}

void ShardWriter::open() {
  number_ = next_shard_number(shards_);
  const std::string path = fmt::format("shards/{}-{:06}.tar", name_, written_++);
  shards_.push_back({path, 0, {}});
  make_writable_folder(folder_ / "shards");
  tar_ = std::make_unique<TarWriter>(folder_ / path);
}

void ShardWriter::close() {
  shards_[number_].sha256 = tar_->finish();
  shards_[number_].bytes = tar_->size();
  tar_.reset();
}

ImagePlace ShardWriter::add(const std::string& key, std::string_view extension,
                            std::string_view image, const Json& metadata) {
  if (tar_ != nullptr && tar_->size() + static_cast<int64_t>(image.size()) > shard_bytes_) close();
  if (tar_ == nullptr) open();
  const int64_t offset = tar_->add(fmt::format("{}.{}", key, extension), image);
  tar_->add(key + ".json", metadata.dump());
  return {number_, offset, static_cast<int32_t>(image.size())};
}

void ShardWriter::finish() {
  if (tar_ != nullptr) close();
}

void SplitIndex::add(const std::string& key, const ImagePlace& place, std::vector<int32_t> tags,
                     std::vector<int32_t> truth) {
  std::sort(tags.begin(), tags.end());
  std::sort(truth.begin(), truth.end());
  shard.push_back(place.shard);
  offset.push_back(place.offset);
  length.push_back(place.length);
  tag_ids.insert(tag_ids.end(), tags.begin(), tags.end());
  tag_ptr.push_back(static_cast<int64_t>(tag_ids.size()));
  truth_ids.insert(truth_ids.end(), truth.begin(), truth.end());
  truth_ptr.push_back(static_cast<int64_t>(truth_ids.size()));
  keys += key + '\n';
}

Json SplitIndex::write(const fs::path& folder) const {
  make_writable_folder(folder);
  save_npy(folder / "shard.npy", shard);
  save_npy(folder / "offset.npy", offset);
  save_npy(folder / "length.npy", length);
  save_npy(folder / "tag_ptr.npy", tag_ptr);
  save_npy(folder / "tag_ids.npy", tag_ids);
  write_file_atomic(folder / "keys.txt", keys);
  std::vector<std::string> names = {"shard.npy",   "offset.npy",  "length.npy",
                                    "tag_ptr.npy", "tag_ids.npy", "keys.txt"};
  if (has_truth) {
    save_npy(folder / "truth_ptr.npy", truth_ptr);
    save_npy(folder / "truth_ids.npy", truth_ids);
    names.insert(names.end(), {"truth_ptr.npy", "truth_ids.npy"});
  }
  Json hashes = Json::object();
  for (const auto& name : names) hashes[name] = sha256_of_file(folder / name);
  return hashes;
}

}  // namespace hardmoe
