#include "data/writer.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/json_field.h"
#include "base/json_line.h"
#include "base/recorded.h"
#include "base/text.h"

namespace hardmoe {
namespace fs = std::filesystem;

ShardList::ShardList(const fs::path& file, int64_t keep,
                     const std::function<void(AppendFile&)>& check)
    : lines_(file, keep) {
  check(lines_);
  const std::string text = lines_.read(0, static_cast<size_t>(keep));
  for (const auto& line : split(text, '\n')) {
    if (line.empty()) continue;
    const Json entry = parse_json(line, file.string());
    const auto number = json_get<uint64_t>(entry, "number", file.string());
    if (number > records_.size()) {
      fail("{}: shard {} follows {} others, expected no gap; {}", file.string(), number,
           records_.size(), remedy_for_work(file.parent_path().parent_path()));
    }
    if (number == records_.size()) records_.emplace_back();
    records_[number] = {json_get<std::string>(entry, "path", file.string()),
                        json_get<int64_t>(entry, "bytes", file.string()),
                        json_get<std::string>(entry, "sha256", file.string())};
  }
}

uint16_t next_shard_number(const std::vector<ShardRecord>& shards) {
  if (shards.size() > std::numeric_limits<uint16_t>::max()) {
    fail("more than 65536 shards; pack the images into fewer, larger tars");
  }
  return static_cast<uint16_t>(shards.size());
}

uint16_t ShardList::add(const std::string& path, int64_t bytes) {
  const uint16_t number = next_shard_number(records_);
  records_.push_back({path, bytes, {}});
  write(number);
  return number;
}

void ShardList::close(uint16_t number, int64_t bytes, const std::string& sha256) {
  records_[number].bytes = bytes;
  records_[number].sha256 = sha256;
  write(number);
}

void ShardList::write(uint16_t number) {
  const ShardRecord& shard = records_[number];
  const Json line = {
      {"number", number}, {"path", shard.path}, {"bytes", shard.bytes}, {"sha256", shard.sha256}};
  lines_.write(json_line(line));
}

ShardWriter::ShardWriter(fs::path folder, std::string name, int64_t shard_bytes, ShardList& shards)
    : folder_(std::move(folder)),
      name_(std::move(name)),
      shard_bytes_(shard_bytes),
      shards_(shards) {}

std::string ShardWriter::shard_path(int number) const {
  return fmt::format("shards/{}-{:06}.tar", name_, number);
}

void ShardWriter::close() {
  const std::string sha256 = tar_->finish();
  shards_.close(number_, tar_->size(), sha256);
  tar_.reset();
}

ImageLocation ShardWriter::add(const std::string& key, std::string_view extension,
                               std::string_view image, const Json& metadata) {
  if (tar_ != nullptr && tar_->size() + static_cast<int64_t>(image.size()) > shard_bytes_) close();
  if (tar_ == nullptr) {
    make_writable_folder(folder_ / "shards");
    const std::string path = shard_path(written_++);
    number_ = shards_.add(path, 0);
    tar_ = std::make_unique<TarWriter>(folder_ / path, 0);
  }
  const int64_t offset = tar_->add(fmt::format("{}.{}", key, extension), image);
  tar_->add(key + ".json", metadata.dump());
  return {number_, offset, static_cast<int32_t>(image.size())};
}

void ShardWriter::finish() {
  if (tar_ != nullptr) close();
}

Json ShardWriter::checkpoint() {
  if (tar_ == nullptr) return {{"written", written_}};
  tar_->sync();
  return {{"written", written_},
          {"number", number_},
          {"bytes", tar_->size()},
          {"crc32c", format_crc32c(tar_->crc32c())}};
}

void ShardWriter::resume(const Json& state) {
  if (state.is_null()) return;
  const std::string where = (folder_ / "work").string();
  written_ = json_int(state, "written", where);
  if (!state.contains("number")) return;
  const auto number = json_get<uint64_t>(state, "number", where);
  const std::string path = shard_path(written_ - 1);
  if (number >= shards_.records().size() || shards_.records()[number].path != path) {
    fail("{}: its list of shards has no {} as number {}; {}", where, path, number,
         remedy_for_work(folder_));
  }
  number_ = static_cast<uint16_t>(number);
  const fs::path file = folder_ / path;
  // The shard was closed after the checkpoint: reopen it and write again what follows.
  if (path_exists(file)) rename_file(file, file.string() + ".part");
  tar_ = std::make_unique<TarWriter>(file, json_get<int64_t>(state, "bytes", where));
  require_crc32c(file.string() + ".part", tar_->crc32c(),
                 json_get<std::string>(state, "crc32c", where), remedy_for_work(folder_));
}

std::string remedy_for_work(const fs::path& out) {
  return fmt::format("remove {} to begin again from nothing", (out / "work").string());
}

Json index_checksums(const fs::path& folder, const std::vector<std::string>& names) {
  Json hashes = Json::object(), crcs = Json::object();
  for (const auto& name : names) {
    const Checksums found = checksums_of_file(folder / name);
    hashes[name] = found.sha256;
    crcs[name] = format_crc32c(found.crc32c);
  }
  return {{"files", hashes}, {"crc32c", crcs}};
}

IndexWriter::IndexWriter(const fs::path& folder, bool has_truth)
    : folder_((make_writable_folder(folder), folder)),
      has_truth_(has_truth),
      shard_(folder / "shard.npy", DType::u16, {}),
      offset_(folder / "offset.npy", DType::i64, {}),
      length_(folder / "length.npy", DType::i32, {}),
      tag_ptr_(folder / "tag_ptr.npy", DType::i64, {}),
      tag_ids_(folder / "tag_ids.npy", DType::i32, {}),
      keys_(folder / "keys.txt") {
  constexpr int64_t zero = 0;
  tag_ptr_.append(&zero, 1);
  if (!has_truth_) return;
  truth_ptr_.emplace(folder / "truth_ptr.npy", DType::i64, Shape{});
  truth_ids_.emplace(folder / "truth_ids.npy", DType::i32, Shape{});
  truth_ptr_->append(&zero, 1);
}

std::vector<std::string> IndexWriter::file_names() {
  return {"shard.npy",   "offset.npy", "length.npy",    "tag_ptr.npy",
          "tag_ids.npy", "keys.txt",   "truth_ptr.npy", "truth_ids.npy"};
}

void IndexWriter::add(std::string_view key, const ImageLocation& location,
                      std::vector<int32_t>& tags, std::vector<int32_t>& truth) {
  std::sort(tags.begin(), tags.end());
  std::sort(truth.begin(), truth.end());
  ++size_;
  shard_.append(&location.shard, 1);
  offset_.append(&location.offset, 1);
  length_.append(&location.length, 1);
  tags_ += static_cast<int64_t>(tags.size());
  tag_ids_.append(tags.data(), static_cast<int64_t>(tags.size()));
  tag_ptr_.append(&tags_, 1);
  truth_ += static_cast<int64_t>(truth.size());
  if (has_truth_) {
    truth_ids_->append(truth.data(), static_cast<int64_t>(truth.size()));
    truth_ptr_->append(&truth_, 1);
  }
  keys_.write(key);
  keys_.write("\n");
}

Json IndexWriter::finish() {
  std::vector<std::string> names = {"shard.npy",   "offset.npy",  "length.npy",
                                    "tag_ptr.npy", "tag_ids.npy", "keys.txt"};
  for (NpyWriter* column : {&shard_, &offset_, &length_, &tag_ptr_, &tag_ids_}) {
    column->finish(After::not_synced);
  }
  keys_.commit(After::not_synced);
  if (has_truth_) {
    truth_ptr_->finish(After::not_synced);
    truth_ids_->finish(After::not_synced);
    names.insert(names.end(), {"truth_ptr.npy", "truth_ids.npy"});
  }
  sync_folder(folder_);
  return index_checksums(folder_, names);
}

}  // namespace hardmoe
