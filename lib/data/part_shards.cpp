#include "data/part_shards.h"

#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/json_field.h"
#include "base/log.h"
#include "base/signals.h"
#include "data/tar.h"
#include "data/writer.h"
#include "image/codec.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Writes one split's items list by list and records the location of each.
class SplitLayout {
 public:
  SplitLayout(const Dataset& dataset, const Split& split, fs::path folder, int64_t shard_bytes,
              std::vector<ShardRecord>& shards, PartShardsResult& result)
      : dataset_(dataset),
        split_(split),
        folder_(std::move(folder)),
        shard_bytes_(shard_bytes),
        shards_(shards),
        result_(result),
        shard_(static_cast<size_t>(split.size()), 0),
        offset_(static_cast<size_t>(split.size()), 0) {}

  /// Writes shards NAME-000000.tar … with the items in the given order.
  void write(const std::string& name, const std::vector<int64_t>& items, Progress& progress) {
    int number = 0;
    for (size_t begin = 0; begin < items.size();) {
      size_t end = begin;
      for (int64_t bytes = 0; end < items.size(); ++end) {
        bytes += static_cast<int64_t>(split_.image(items[end]).size()) + member_overhead;
        if (end > begin && bytes > shard_bytes_) break;
      }
      write_shard(fmt::format("shards/{}-{:06}.tar", name, number++),
                  std::span(items).subspan(begin, end - begin));
      progress.update(result_.images);
      begin = end;
    }
  }

  const std::vector<uint16_t>& shard() const { return shard_; }
  const std::vector<int64_t>& offset() const { return offset_; }

 private:
  static constexpr int64_t member_overhead = 2048;  // about: headers, padding and the tags' JSON

  std::string member(int64_t item) const {
    return fmt::format("{}.{}", split_.key(item), extension_of(image_format(split_.image(item))));
  }

  std::string metadata(int64_t item) const {
    const auto names = [&](std::span<const int32_t> ids) {
      Json list = Json::array();
      for (const int32_t id : ids) {
        list.push_back(dataset_.vocabulary().tags[static_cast<size_t>(id)]);
      }
      return list;
    };
    Json json = {{"tags", names(split_.tags(item))}};
    if (split_.has_truth()) json["truth"] = names(split_.truth(item));
    return json.dump();
  }

  void write_shard(const std::string& path, std::span<const int64_t> items) {
    throw_if_interrupted();
    const uint16_t number = next_shard_number(shards_);
    const fs::path file = folder_ / path;
    ShardRecord record{path, 0, {}};
    const bool there = path_exists(file);
    if (there) {  // left by an interrupted call: reuse it if its contents are right
      TarWriter nowhere;
      record.sha256 = add_members(nowhere, number, items);
    }
    if (there && sha256_of_file(file) == record.sha256) {
      ++result_.reused;
    } else {
      if (there)
        log_warning("{}: does not hold what belongs in it; writing it again", file.string());
      TarWriter tar(file);
      record.sha256 = add_members(tar, number, items);
    }
    record.bytes = static_cast<int64_t>(file_size_of(file));
    shards_.push_back(record);
    ++result_.shards;
    result_.images += static_cast<int64_t>(items.size());
    result_.bytes += record.bytes;
  }

  void set_location(int64_t item, uint16_t number, int64_t offset) {
    shard_[static_cast<size_t>(item)] = number;
    offset_[static_cast<size_t>(item)] = offset;
  }

  /// Adds the items to a tar and returns its SHA-256.
  std::string add_members(TarWriter& tar, uint16_t number, std::span<const int64_t> items) {
    for (const int64_t item : items) {
      throw_if_interrupted();
      set_location(item, number, tar.add(member(item), text_of(split_.image(item))));
      tar.add(split_.key(item) + ".json", metadata(item));
    }
    return tar.finish();
  }

  const Dataset& dataset_;
  const Split& split_;
  fs::path folder_;
  int64_t shard_bytes_;
  std::vector<ShardRecord>& shards_;
  PartShardsResult& result_;
  std::vector<uint16_t> shard_;
  std::vector<int64_t> offset_;
};

/// Writes the split's index files `names` with the new locations; returns their index_checksums().
Json write_index(const fs::path& from, const fs::path& to, const Json& names,
                 const SplitLayout& layout) {
  make_writable_folder(to);
  std::vector<std::string> written;
  for (const auto& [name, ignored] : names.items()) {
    if (name == "shard.npy") {
      save_npy(to / name, layout.shard());
    } else if (name == "offset.npy") {
      save_npy(to / name, layout.offset());
    } else {
      copy_file_atomic(from / name, to / name);
    }
    written.push_back(name);
  }
  return index_checksums(to, written);
}

}  // namespace

std::vector<std::string> part_shard_files() {
  std::vector<std::string> files = {"dataset.json", "tags.tsv", "shards/*.tar"};
  for (const auto& name : IndexWriter::file_names()) files.push_back("*/" + name);
  return files;
}

PartShardsResult write_part_shards(const Dataset& dataset,
                                   const std::vector<std::vector<int64_t>>& parts,
                                   const fs::path& folder, int64_t shard_bytes) {
  if (shard_bytes < 1) fail_usage("shards of {} bytes: expected 1 or more", shard_bytes);
  const fs::path source = dataset.folder() / "dataset.json";
  Json record = read_dataset_record(source);
  make_writable_folder(folder / "shards");
  PartShardsResult result;
  std::vector<ShardRecord> shards;
  int64_t images = 0;
  for (const auto& [name, entry] : record["splits"].items()) images += dataset.split(name).size();
  Progress progress("images", images);
  for (auto& [name, entry] : record["splits"].items()) {
    const Split& split = dataset.split(name);
    split.require_index();
    SplitLayout layout(dataset, split, folder, shard_bytes, shards, result);
    if (name == "train") {
      for (size_t part = 0; part < parts.size(); ++part) {
        layout.write(fmt::format("part-{:05}", part), parts[part], progress);
      }
    } else {
      std::vector<int64_t> items(static_cast<size_t>(split.size()));
      for (size_t i = 0; i < items.size(); ++i) items[i] = static_cast<int64_t>(i);
      layout.write(name, items, progress);
    }
    entry.update(write_index(dataset.folder() / name, folder / name,
                             json_object(entry, "files", source.string()), layout));
  }
  record["shards"] = Json::array();
  for (const auto& shard : shards) {
    record["shards"].push_back(
        {{"path", shard.path}, {"bytes", shard.bytes}, {"sha256", shard.sha256}});
  }
  record["laid_out_from"] = dataset.fingerprint();
  copy_file_atomic(dataset.folder() / "tags.tsv", folder / "tags.tsv");
  write_json(folder / "dataset.json", record);
  return result;
}

}  // namespace hardmoe
