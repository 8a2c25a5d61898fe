#include "ingest/index.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/files.h"
#include "base/json_line.h"
#include "base/signals.h"
#include "base/text.h"
#include "ingest/near_duplicates.h"
#include "ingest/vocabulary.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

template <class T>
std::span<const T> array_of(const MappedFile& map) {
  return {reinterpret_cast<const T*>(map.bytes().data()), map.bytes().size() / sizeof(T)};
}

std::string_view text_of(const MappedFile& map) {
  return {reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()};
}

std::string line_at(std::string_view text, uint64_t at) {
  const auto rest = text.substr(at);
  return std::string(rest.substr(0, rest.find('\n')));
}

SplitNumber split_in(const Row& row) { return static_cast<SplitNumber>(row.split); }

class Index {
 public:
  Index(const IngestOptions& options, IngestWork& work)
      : options_(options),
        work_(work),
        row_file_(work.folder() / "rows.bin"),
        tag_file_(work.folder() / "tags.bin"),
        key_file_(work.folder() / "keys.txt"),
        rows_(array_of<Row>(row_file_)),
        tags_(array_of<uint32_t>(tag_file_)),
        keys_(text_of(key_file_)),
        counts_(work.counts) {
    const std::string status = work.statuses(0, work.items());
    status_.assign(status.begin(), status.end());
    read_names();
    const MappedFile united(work.folder() / "united.bin");
    const auto entries = array_of<UnitedTag>(united);
    united_.assign(entries.begin(), entries.end());
  }

  Json write() {
    AtomicFile rejected(options_.out / "rejected.jsonl");
    rejected.write(text_of(MappedFile(work_.rejected_list())));
    drop_near_duplicates(rejected);
    std::sort(united_.begin(), united_.end());
    const Vocabulary vocabulary = count_tags(rejected);
    Json splits = write_splits(rejected);
    save_vocabulary(options_.out / "tags.tsv", vocabulary);
    rejected.commit();
    save_npy(options_.out / "status.npy", status_);
    write_json(options_.out / "dataset.json", description(vocabulary, splits));
    for (const auto& [name, split] : splits.items()) {
      split.erase("files");
      split.erase("crc32c");
    }
    return table(vocabulary, splits);
  }

 private:
  void read_names() {
    const MappedFile file(work_.folder() / "names.txt");
    const std::string_view text = text_of(file);
    for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
      names_.push_back(line_at(text, at));
    }
  }

  void reject(AtomicFile& rejected, const Row& row, Rejection reason, const std::string& detail) {
    ++counts_.rejected[row.split][static_cast<size_t>(reason)];
    status_[row.item] = static_cast<uint8_t>(reason);
    const auto& shard = work_.shards.records()[row.shard];
    Json line = {{"item", row.item},
                 {"key", line_at(keys_, row.key_at)},
                 {"split", split_names[row.split]},
                 {"shard", shard.path},
                 {"reason", name_of(reason)}};
    if (!detail.empty()) line["detail"] = detail;
    rejected.write(json_line(line));
  }

  /// Unites near duplicates: the first image stays, with the tags of all. Tags of training images
  /// are not given to validation images of --val-source.
  void drop_near_duplicates(AtomicFile& rejected) {
    if (options_.near_duplicates < 0) return;
    std::vector<uint64_t> hashes;
    hashes.reserve(rows_.size());
    for (const Row& row : rows_) hashes.push_back(row.perceptual_hash);
    first_alike_ = group_near_duplicates(hashes, options_.near_duplicates);
    for (size_t r = 0; r < rows_.size(); ++r) {
      if (!is_dropped(r)) continue;
      const Row& row = rows_[r];
      const Row& first = rows_[first_alike_[r]];
      reject(rejected, row, Rejection::near_duplicate,
             fmt::format("looks like {}", line_at(keys_, first.key_at)));
      if (!gives_tags_to(options_, split_in(row), split_in(first))) continue;
      for (uint32_t i = 0; i < row.tags + row.truth; ++i) {
        united_.push_back(
            {first_alike_[r], tags_[row.tags_at + i] | (i < row.tags ? 0 : truth_bit)});
      }
    }
    // Tags that exact duplicates gave to a dropped image go on to the image that stays.
    for (auto& entry : united_) {
      const uint32_t first = first_alike_[entry.row];
      if (!gives_tags_to(options_, split_in(rows_[entry.row]), split_in(rows_[first]))) continue;
      entry.row = first;
    }
  }

  bool is_dropped(size_t row) const { return !first_alike_.empty() && first_alike_[row] != row; }

  /// Calls take(row, numbers of its tags, of its truth) for each image that stays, in order.
  template <class Take>
  void for_each_row(const Take& take) const {
    std::vector<uint32_t> tags, truth;
    size_t next = 0;
    constexpr size_t between_looks = size_t{1} << 14;
    for (size_t r = 0; r < rows_.size(); ++r) {
      if (r % between_looks == 0) throw_if_interrupted();
      const Row& row = rows_[r];
      const auto begin = tags_.begin() + static_cast<int64_t>(row.tags_at);
      tags.assign(begin, begin + row.tags);
      truth.assign(begin + row.tags, begin + row.tags + row.truth);
      for (; next < united_.size() && united_[next].row == r; ++next) {
        const uint32_t number = united_[next].tag & ~truth_bit;
        auto& list = (united_[next].tag & truth_bit) != 0 ? truth : tags;
        if (std::find(list.begin(), list.end(), number) == list.end()) list.push_back(number);
      }
      if (!is_dropped(r)) take(row, tags, truth);
    }
  }

  [[noreturn]] void give_up(AtomicFile& rejected, const std::string& why, ExitStatus status) {
    rejected.commit();
    work_.forget();
    const fs::path list = options_.out / "rejected.jsonl";
    throw Error(fmt::format("{}; see {}", why, list.string()), status);
  }

  [[noreturn]] void give_up_without(AtomicFile& rejected, SplitNumber split) {
    std::vector<std::string> reasons;
    for (size_t r = 1; r < rejection_names.size(); ++r) {
      const int64_t count = counts_.rejected[split][r];
      if (count > 0) reasons.push_back(fmt::format("{} {}", count, rejection_names[r]));
    }
    if (counts_.read[split] == 0) {
      give_up(rejected,
              fmt::format("split '{}' is empty: {} gave all of the few images to the "
                          "other; give another share or --seed",
                          split_names[split],
                          counts_.read[selection] > 0 ? "--selection-fraction" : "--val-fraction"),
              ExitStatus::failed);
    }
    give_up(rejected,
            fmt::format("no image is left in split '{}' of the {} read ({})", split_names[split],
                        counts_.read[split], join(reasons, ", ")),
            ExitStatus::failed);
  }

  /// Returns another dataset's tags in their order, with their counts here.
  Vocabulary given_vocabulary(const std::unordered_map<std::string, int64_t>& found) {
    Vocabulary vocabulary = load_vocabulary(vocabulary_file(options_.vocabulary));
    int64_t uses = 0;
    for (const auto& [tag, count] : found) uses += count;
    dropped_ = {distinct_tags_, uses};
    for (size_t id = 0; id < vocabulary.tags.size(); ++id) {
      const auto here = found.find(vocabulary.tags[id]);
      vocabulary.counts[id] = here == found.end() ? 0 : here->second;
      if (here == found.end()) continue;
      --dropped_.tags;
      dropped_.uses -= here->second;
    }
    return vocabulary;
  }

  Vocabulary count_tags(AtomicFile& rejected) {
    std::vector<int64_t> found(names_.size());
    int64_t images = 0;
    for_each_row([&](const Row& row, const auto& tags, const auto& truth) {
      if (row.has_truth != 0 || !truth.empty()) has_truth_[row.split] = true;
      if (row.split != train) return;
      ++images;
      for (const uint32_t tag : tags) ++found[tag];
    });
    std::unordered_map<std::string, int64_t> by_name;
    for (size_t i = 0; i < names_.size(); ++i) {
      if (found[i] > 0) by_name[names_[i]] = found[i];
    }
    distinct_tags_ = static_cast<int64_t>(by_name.size());
    if (images == 0) give_up_without(rejected, train);
    Vocabulary vocabulary =
        options_.vocabulary.empty()
            ? build_vocabulary(by_name, options_.min_tag_count, options_.max_tags)
            : given_vocabulary(by_name);
    const bool none = std::all_of(vocabulary.counts.begin(), vocabulary.counts.end(),
                                  [](int64_t count) { return count == 0; });
    if (options_.keep_untagged) return numbered(vocabulary);
    if (none && !options_.vocabulary.empty()) {
      give_up(
          rejected,
          fmt::format("none of the {} tags of {} is on any of the {} training images, whose most "
                      "frequent tag is '{}'",
                      vocabulary.size(), options_.vocabulary.string(), images,
                      build_vocabulary(by_name, 1, 1).tags.at(0)),
          ExitStatus::usage);
    }
    if (none) {
      give_up(rejected,
              fmt::format("no tag is on {} or more of the {} training images, the most frequent is "
                          "on {}; lower --min-tag-count",
                          options_.min_tag_count, images, *std::ranges::max_element(found)),
              ExitStatus::usage);
    }
    return numbered(vocabulary);
  }

  /// Notes the tags' ids; returns the vocabulary.
  Vocabulary numbered(Vocabulary vocabulary) {
    std::unordered_map<std::string_view, int32_t> ids;
    for (size_t id = 0; id < vocabulary.tags.size(); ++id) {
      ids.emplace(vocabulary.tags[id], static_cast<int32_t>(id));
    }
    ids_.assign(names_.size(), -1);
    for (size_t i = 0; i < names_.size(); ++i) {
      if (const auto id = ids.find(names_[i]); id != ids.end()) ids_[i] = id->second;
    }
    return vocabulary;
  }

  void kept_ids(const std::vector<uint32_t>& tags, std::vector<int32_t>& ids) const {
    ids.clear();
    for (const uint32_t tag : tags) {
      if (ids_[tag] >= 0) ids.push_back(ids_[tag]);
    }
  }

  /// Writes the splits' indexes and returns {"train": {images, tags, truth, files}, …}.
  Json write_splits(AtomicFile& rejected) {
    std::array<std::optional<IndexWriter>, all_splits.size()> writers;
    std::vector<int32_t> tag_ids, truth_ids;
    for_each_row([&](const Row& row, const auto& tags, const auto& truth) {
      kept_ids(tags, tag_ids);
      kept_ids(truth, truth_ids);
      if (tag_ids.empty() && (row.split != val || truth_ids.empty()) && !options_.keep_untagged) {
        reject(rejected, row, Rejection::no_kept_tag, "");
        return;
      }
      auto& writer = writers[row.split];
      if (!writer) writer.emplace(options_.out / split_names[row.split], has_truth_[row.split]);
      writer->add(line_at(keys_, row.key_at), {row.shard, row.offset, row.length}, tag_ids,
                  truth_ids);
    });
    Json splits = Json::object();
    for (const SplitNumber split : all_splits) {
      auto& writer = writers[split];
      if (!writer) {
        if (split == train || counts_.read[split] > 0) give_up_without(rejected, split);
        continue;
      }
      Json& entry = splits[split_names[split]];
      entry = {{"images", writer->size()}, {"tags", writer->tags()}, {"truth", writer->truth()}};
      entry.update(writer->finish());
    }
    return splits;
  }

  Json description(const Vocabulary& vocabulary, const Json& splits) const {
    Json shards = Json::array();
    for (const auto& shard : work_.shards.records()) {
      shards.push_back({{"path", shard.path}, {"bytes", shard.bytes}, {"sha256", shard.sha256}});
    }
    Json record = {{"format", format_text(dataset_format)},
                   {"vocabulary", vocabulary.size()},
                   {"vocabulary_sha256", sha256_of_file(options_.out / "tags.tsv")},
                   {"splits", splits},
                   {"options",
                    {{"resize", options_.resize},
                     {"min_tag_count", options_.min_tag_count},
                     {"max_tags", options_.max_tags},
                     {"val_fraction", options_.val_fraction},
                     {"seed", options_.seed}}},
                   {"status", rejection_names},
                   {"shards", shards}};
    // What follows is absent where it says nothing, as in datasets made before there was any.
    if (options_.selection_fraction > 0) {
      record["options"]["selection_fraction"] = options_.selection_fraction;
    }
    if (options_.keep_untagged) record["options"]["keep_untagged"] = true;
    if (options_.sample < 1) {
      record["options"]["sample"] = options_.sample;
    } else {
      record["status"].erase(static_cast<size_t>(Rejection::not_sampled));
    }
    return record;
  }

  Json table(const Vocabulary& vocabulary, const Json& splits) const {
    Json result = {{"splits", Json::object()},
                   {"vocabulary", vocabulary.size()},
                   {"distinct_tags", distinct_tags_},
                   {"renamed_keys", counts_.renamed},
                   {"given_vocabulary", !options_.vocabulary.empty()},
                   {"dropped_tags", dropped_.tags},
                   {"dropped_tag_uses", dropped_.uses},
                   {"top_tags", Json::array()}};
    for (const SplitNumber split : all_splits) {
      if (!splits.contains(split_names[split])) continue;
      Json entry = {{"read", counts_.read[split]}};
      for (const auto& [key, value] : splits[split_names[split]].items()) entry[key] = value;
      entry["tags_before"] = counts_.tags[split];
      entry["rejected"] = Json::object();
      for (size_t r = 1; r < rejection_names.size(); ++r) {
        const int64_t count = counts_.rejected[split][r];
        if (count > 0) entry["rejected"][rejection_names[r]] = count;
      }
      result["splits"][split_names[split]] = entry;
    }
    std::vector<size_t> order(vocabulary.tags.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return vocabulary.counts[a] > vocabulary.counts[b];
    });
    order.resize(std::min<size_t>(5, order.size()));
    for (const size_t id : order) {
      result["top_tags"].push_back(
          {{"tag", vocabulary.tags[id]}, {"images", vocabulary.counts[id]}});
    }
    return result;
  }

  const IngestOptions& options_;
  IngestWork& work_;
  MappedFile row_file_, tag_file_, key_file_;
  std::span<const Row> rows_;
  std::span<const uint32_t> tags_;
  std::string_view keys_;
  IngestCounts counts_;
  std::vector<uint8_t> status_;
  std::vector<std::string> names_;
  std::vector<UnitedTag> united_;
  std::vector<uint32_t> first_alike_;  ///< by row: first one alike; empty: not compared
  std::vector<int32_t> ids_;           ///< by number: id in the vocabulary; -1: not kept
  std::array<bool, all_splits.size()> has_truth_{};
  int64_t distinct_tags_ = 0;
  struct {
    int64_t tags = 0, uses = 0;
  } dropped_;  ///< counts of tags in training that a given vocabulary lacks
};

}  // namespace

Json write_index(const IngestOptions& options, IngestWork& work) {
  return Index(options, work).write();
}

}  // namespace hardmoe
