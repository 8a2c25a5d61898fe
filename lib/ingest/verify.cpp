#include "ingest/verify.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/folders.h"
#include "base/json_field.h"
#include "base/log.h"
#include "base/recorded.h"
#include "base/signals.h"
#include "base/threads.h"
#include "data/dataset.h"
#include "data/ordered_work.h"
#include "data/tar.h"
#include "image/codec.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// A file and its expected hash.
struct Expected {
  fs::path file;
  std::string sha256;
};

/// Returns the files that dataset.json and stage.json record, with their hashes.
std::vector<Expected> expected_files(const fs::path& folder, const Json& record) {
  const std::string where = (folder / "dataset.json").string();
  std::vector<Expected> files;
  const fs::path stage_file = folder / "stage.json";
  const Json stage = read_stage_record(stage_file);
  if (!json_get<bool>(stage, "done", stage_file.string())) {
    fail("{}: not finished; run the same moe-ingest again to resume it", folder.string());
  }
  using Hashes = std::map<std::string, std::string>;
  for (const auto& [name, hash] : json_get<Hashes>(stage, "outputs", stage_file.string())) {
    files.push_back({folder / name, hash});
  }
  for (const auto& [name, split] : json_object(record, "splits", where).items()) {
    for (const auto& [file, hash] : json_get<Hashes>(split, "files", where)) {
      files.push_back({folder / name / file, hash});
    }
  }
  for (const Json& shard : json_list(record, "shards", where)) {
    files.push_back({folder / json_get<std::string>(shard, "path", where),
                     json_get<std::string>(shard, "sha256", where)});
  }
  return files;
}

/// Returns the files that differ from their records.
std::set<fs::path> verify_hashes(const std::vector<Expected>& files, Verification& result) {
  Progress progress("verifying", static_cast<long long>(files.size()));
  const auto make = [&](int64_t i) -> std::string {
    const Expected& expected = files[static_cast<size_t>(i)];
    try {
      if (interrupted()) return {};
      const std::string found = sha256_of_file(expected.file);
      if (found == expected.sha256) return {};
      return fmt::format("{}: its SHA-256 is {}, expected {}", expected.file.string(), found,
                         expected.sha256);
    } catch (const std::exception& error) {
      return error.what();
    }
  };
  std::set<fs::path> damaged;
  work_in_order<std::string>(static_cast<int64_t>(files.size()), compute_threads(),
                             int64_t{4} * compute_threads(), make,
                             [&](int64_t i, std::string& fault) {
                               throw_if_interrupted();
                               progress.update(i + 1);
                               if (fault.empty()) return;
                               damaged.insert(files[static_cast<size_t>(i)].file);
                               result.faults.push_back(std::move(fault));
                             });
  return damaged;
}

/// Checks that each split's written shards are numbered from 0 without gaps, and that no other
/// files are among them.
void verify_shard_names(const fs::path& folder, const Json& record, Verification& result) {
  std::set<std::string> names;
  const std::string where = (folder / "dataset.json").string();
  for (const Json& shard : json_list(record, "shards", where)) {
    names.insert(json_get<std::string>(shard, "path", where));
  }
  const fs::path shards = folder / "shards";
  if (path_exists(shards)) {
    for (const FolderEntry& entry : list_folder(shards)) {
      if (names.contains("shards/" + entry.name())) continue;
      result.faults.push_back(fmt::format("{}: not a shard of the dataset", entry.path().string()));
    }
  }
  for (const auto& [split, ignored] : json_object(record, "splits", where).items()) {
    const std::string prefix = fmt::format("shards/{}-", split);
    const auto written = std::count_if(names.begin(), names.end(), [&](const std::string& name) {
      return name.starts_with(prefix);
    });
    for (int64_t i = 0; i < written; ++i) {
      const std::string name = fmt::format("{}{:06}.tar", prefix, i);
      if (names.contains(name)) continue;
      result.faults.push_back(fmt::format("{}: lacks {}, though there are {} shards of its split",
                                          folder.string(), name, written));
      break;
    }
  }
}

/// Checks that the images `order`, all in one shard, are members of it.
void verify_members(const Split& split, std::span<const int64_t> order, const Shard& shard) {
  const auto bytes = shard.file.bytes();
  const auto members = index_tar(bytes, shard.path.string());
  for (const int64_t item : order) {
    const auto image = split.image(item);
    const int64_t offset = image.data() - bytes.data();
    const auto member = std::lower_bound(
        members.begin(), members.end(), offset,
        [](const TarEntry& entry, int64_t wanted) { return entry.offset < wanted; });
    if (member == members.end() || member->offset != offset ||
        member->size != static_cast<int64_t>(image.size())) {
      fail("{}: no member is at {}+{}, where image {} ({}) should be", shard.path.string(), offset,
           image.size(), item, split.key(item));
    }
    image_format(image);
  }
}

/// Checks images in portions of bounded size, shard by shard; reports one fault for each shard and
/// portion.
void verify_images(const Split& split, const std::set<fs::path>& damaged, Verification& result) {
  constexpr int64_t piece = int64_t{1} << 22;
  for (int64_t begin = 0; begin < split.size(); begin += piece) {
    std::vector<int64_t> order(static_cast<size_t>(std::min(piece, split.size() - begin)));
    std::iota(order.begin(), order.end(), begin);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return split.shard_of(a) < split.shard_of(b); });
    for (size_t i = 0; i < order.size();) {
      throw_if_interrupted();
      const size_t number = split.shard_of(order[i]);
      const size_t first = i;
      while (i < order.size() && split.shard_of(order[i]) == number) ++i;
      const Shard& shard = split.shards()[number];
      if (damaged.contains(shard.path)) continue;  // reported already
      try {
        verify_members(split, std::span(order).subspan(first, i - first), shard);
      } catch (const Error& error) {
        result.faults.emplace_back(error.what());
      }
    }
  }
}

void count_tags(const Split& split, std::vector<int64_t>& counts) {
  for (int64_t i = 0; i < split.size(); ++i) {
    for (const int32_t tag : split.tags(i)) ++counts[static_cast<size_t>(tag)];
    if (split.has_truth()) split.truth(i);
  }
  if (split.size() > 0) split.key(split.size() - 1);
}

}  // namespace

Verification verify_dataset(const fs::path& folder) {
  const Dataset data = Dataset::open(folder, DatasetRecords::unread);
  const std::string where = (folder / "dataset.json").string();
  const Json record = read_dataset_record(where);
  Verification result;
  const auto damaged = verify_hashes(expected_files(folder, record), result);
  verify_shard_names(folder, record, result);
  for (const Json& shard : json_list(record, "shards", where)) {
    ++result.shards;
    result.bytes += json_get<int64_t>(shard, "bytes", where);
  }
  for (const auto& [name, entry] : json_object(record, "splits", where).items()) {
    std::vector<int64_t> counts(static_cast<size_t>(data.vocabulary().size()));
    const Split& split = data.split(name);
    result.images += split.size();
    try {
      verify_images(split, damaged, result);
      count_tags(split, counts);
      if (name == "train" && counts != data.vocabulary().counts) {
        result.faults.push_back(fmt::format("{}: its counts are not those of the training split",
                                            (folder / "tags.tsv").string()));
      }
    } catch (const Error& error) {
      if (error.status() == ExitStatus::interrupted) throw;
      result.faults.emplace_back(error.what());
    }
  }
  return result;
}

std::string describe(const Verification& found, const fs::path& folder) {
  std::string text;
  for (const auto& fault : found.faults) text += fault + '\n';
  if (!text.empty()) return text;
  return fmt::format("{}: {} images in {} shard{} of {} bytes, all as recorded\n", folder.string(),
                     found.images, found.shards, found.shards == 1 ? "" : "s", found.bytes);
}

}  // namespace hardmoe
