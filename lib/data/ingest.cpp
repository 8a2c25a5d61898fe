#include "data/ingest.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <iostream>
#include <iterator>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/random.h"
#include "base/signals.h"
#include "base/stage.h"
#include "base/text.h"
#include "base/threads.h"
#include "data/augment.h"
#include "data/codec.h"
#include "data/resize.h"
#include "data/source.h"
#include "data/tags.h"
#include "data/writer.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr int64_t chunk = 256;  // items decoded in parallel, then taken in order
constexpr int jpeg_quality = 95;

enum SplitNumber : uint8_t { train = 0, val = 1 };
constexpr std::array<const char*, 2> split_names = {"train", "val"};

/// What a thread made of an item.
struct Prepared {
  SourceItem item;
  std::vector<std::string> tags, truth;  ///< cleaned
  MappedFile file;                       ///< holds item.bytes where they are a file's
  std::string resized;                   ///< the image written anew, else empty
  ImageFormat format = ImageFormat::jpeg;
};

/// An image taken, until the vocabulary is known. Tags are numbers in Ingest::names_.
struct Taken {
  SplitNumber split;
  std::string key;
  uint32_t source;
  ImagePlace place;
  std::vector<uint32_t> tags, truth;
};

struct OpenSource {
  fs::path path;
  SplitNumber split;
  std::unique_ptr<Source> source;
  int64_t in_place = -1;  ///< shard number
};

/// 64-bit FNV-1a, so that an image's split depends on its key and the seed only.
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

std::string json_line(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

class Ingest {
 public:
  Ingest(const IngestOptions& options, const TagRules& rules, std::vector<OpenSource> sources)
      : options_(options),
        rules_(rules),
        sources_(std::move(sources)),
        writers_{ShardWriter(options.out, split_names[train], options.shard_bytes, shards_),
                 ShardWriter(options.out, split_names[val], options.shard_bytes, shards_)} {
    for (const auto& source : sources_) total_ += source.source->size();
  }

  Json run() {
    number_tars();
    read_sources();
    const Vocabulary vocabulary = count_tags();
    Json splits = write_splits(vocabulary);
    save_vocabulary(options_.out / "tags.tsv", vocabulary);
    write_rejected();
    write_json(options_.out / "dataset.json", description(vocabulary, splits));
    for (auto& [name, split] : splits.items()) split.erase("files");
    return counts(vocabulary, splits);
  }

 private:
  /// Shards indexed in place get the first numbers, in the order of the sources.
  void number_tars() {
    if (options_.resize > 0 || options_.storage == ShardStorage::copy) return;
    const fs::path home = fs::absolute(options_.out).lexically_normal();
    for (auto& source : sources_) {
      const fs::path tar = source.source->tar();
      if (tar.empty()) continue;
      source.in_place = next_shard_number(shards_);
      const fs::path relative = tar.lexically_relative(home);
      const bool inside = !relative.empty() && *relative.begin() != "..";
      shards_.push_back(
          {(inside ? relative : tar).string(), static_cast<int64_t>(fs::file_size(tar)), {}});
    }
    parallel_for(static_cast<int64_t>(shards_.size()), 1, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        if (!interrupted()) shards_[i].sha256 = hash_or_empty(options_.out / shards_[i].path);
      }
    });
    throw_if_interrupted();
    for (const auto& shard : shards_) {
      if (shard.sha256.empty()) fail("{}: cannot be read", shard.path);
    }
  }

  static std::string hash_or_empty(const fs::path& file) {
    try {
      return sha256_of_file(file);
    } catch (const Error&) {
      return {};
    }
  }

  void read_sources() {
    Progress progress("ingesting", total_);
    std::vector<Prepared> prepared;
    for (size_t s = 0; s < sources_.size(); ++s) {
      const int64_t size = sources_[s].source->size();
      for (int64_t begin = 0; begin < size; begin += chunk) {
        const int64_t count = std::min(chunk, size - begin);
        prepared = std::vector<Prepared>(static_cast<size_t>(count));
        std::atomic<int64_t> next{0};
        const int workers = compute_threads();
        parallel_for(workers, 1, [&](int64_t, int64_t) {
          for (int64_t i = next++; i < count && !interrupted(); i = next++) {
            prepare(*sources_[s].source, begin + i, prepared[static_cast<size_t>(i)]);
          }
        });
        throw_if_interrupted();
        for (auto& item : prepared) take(item, s);
        progress.update(read_[train] + read_[val], fmt::format("{} rejected", rejected_total_));
      }
    }
    for (auto& writer : writers_) writer.finish();
    if (total_ == 0) fail("no images in the sources");
  }

  /// In a thread of its own: reads, checks and resizes one item. Does not throw.
  void prepare(const Source& source, int64_t number, Prepared& out) const {
    try {
      out.item = source.item(number);
      SourceItem& item = out.item;
      if (item.rejection != Rejection::none) return;
      out.tags = clean_tags(item.tags, rules_);
      if (item.truth) out.truth = clean_tags(*item.truth, rules_);
      if (out.tags.empty() && out.truth.empty()) {
        item.rejection = Rejection::no_tags;
        if (item.detail.empty() && !item.tags.empty()) item.detail = "all are stopped or blank";
        return;
      }
      if (!item.path.empty()) {
        out.file = MappedFile(item.path);
        item.bytes = out.file.bytes();
      }
      check_image(out);
    } catch (const std::exception& error) {
      out.item.rejection = Rejection::unreadable_image;
      out.item.detail = error.what();
    }
  }

  void check_image(Prepared& out) const {
    const auto bytes = out.item.bytes;
    if (bytes.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
      fail("{} bytes; at most 2 GiB are accepted", bytes.size());
    }
    out.format = image_format(bytes);
    const Tensor image = decode_image(bytes);
    if (options_.resize == 0 || std::min(image.size(0), image.size(1)) <= options_.resize) return;
    const Tensor small = shrink_short_side(image, options_.resize);
    const bool png = out.format == ImageFormat::png;
    out.format = png ? ImageFormat::png : ImageFormat::jpeg;
    out.resized = png ? encode_png(small) : encode_jpeg(small, jpeg_quality);
  }

  /// In order: gives the item its split, key and place.
  void take(Prepared& prepared, size_t s) {
    SourceItem& item = prepared.item;
    SplitNumber split = sources_[s].split;
    if (options_.val_fraction > 0) {
      Random random(options_.seed, RandomUse::split, hash_of(item.key));
      split = random.uniform_double() < options_.val_fraction ? val : train;
    }
    ++read_[split];
    if (split == train && item.rejection == Rejection::none && prepared.tags.empty()) {
      item.rejection = Rejection::no_tags;  // truth alone teaches nothing
    }
    if (item.rejection != Rejection::none) {
      reject(split, item.rejection, item.key, item.file, item.detail);
      return;
    }
    Taken taken{split, unique_key(item.key),      static_cast<uint32_t>(s),
                {},    numbers_of(prepared.tags), numbers_of(prepared.truth)};
    if (item.truth) has_truth_[split] = true;
    if (sources_[s].in_place >= 0) {
      taken.place = {static_cast<uint16_t>(sources_[s].in_place), item.offset,
                     static_cast<int32_t>(item.bytes.size())};
    } else {
      Json metadata = {{"tags", prepared.tags}};
      if (item.truth) metadata["truth"] = prepared.truth;
      const std::string_view original(reinterpret_cast<const char*>(item.bytes.data()),
                                      item.bytes.size());
      taken.place =
          writers_[split].add(taken.key, extension_of(prepared.format),
                              prepared.resized.empty() ? original : prepared.resized, metadata);
    }
    taken_.push_back(std::move(taken));
  }

  void reject(SplitNumber split, Rejection rejection, const std::string& key,
              const std::string& file, const std::string& detail) {
    ++rejected_[split][static_cast<size_t>(rejection)];
    ++rejected_total_;
    Json line = {{"key", key}, {"shard", file}, {"reason", name_of(rejection)}};
    if (!detail.empty()) line["detail"] = detail;
    rejected_lines_ += json_line(line);
    if (rejection != Rejection::unreadable_image && rejection != Rejection::unreadable_tags) return;
    if (unreadable_++ < 3) {
      first_unreadable_.push_back(fmt::format("{} ({}): {}", key, file, detail));
    }
    if (static_cast<double>(unreadable_) > options_.max_bad * static_cast<double>(total_)) {
      write_rejected();
      fail(
          "{} of {} items read so far cannot be used, which is more than {} of all {} (--max-bad): "
          "{}{}; see {}",
          unreadable_, read_[train] + read_[val], options_.max_bad, total_,
          join(first_unreadable_, "; "), unreadable_ > 3 ? "; …" : "",
          (options_.out / "rejected.jsonl").string());
    }
  }

  /// Keys name images in results and members in shards: a repeated one gets "-2", "-3" …
  std::string unique_key(const std::string& key) {
    std::string unique = key;
    for (int copy = 2; !keys_.insert(unique).second; ++copy) {
      unique = fmt::format("{}-{}", key, copy);
    }
    if (unique != key) ++renamed_;
    return unique;
  }

  std::vector<uint32_t> numbers_of(const std::vector<std::string>& tags) {
    std::vector<uint32_t> numbers;
    for (const auto& tag : tags) {
      const auto [place, added] = numbers_.emplace(tag, static_cast<uint32_t>(names_.size()));
      if (added) names_.push_back(tag);
      numbers.push_back(place->second);
    }
    return numbers;
  }

  Vocabulary count_tags() {
    std::vector<int64_t> counts(names_.size());
    for (const auto& image : taken_) {
      if (image.split != train) continue;
      for (const uint32_t tag : image.tags) ++counts[tag];
    }
    std::unordered_map<std::string, int64_t> by_name;
    for (size_t i = 0; i < names_.size(); ++i) {
      if (counts[i] > 0) by_name[names_[i]] = counts[i];
    }
    distinct_tags_ = static_cast<int64_t>(by_name.size());
    Vocabulary vocabulary = build_vocabulary(by_name, options_.min_tag_count, options_.max_tags);
    if (vocabulary.size() == 0) {
      fail(
          "no tag is on {} or more of the {} training images with tags ({} were rejected): check "
          "the "
          "tags of the sources, --min-tag-count and --stop-tags",
          options_.min_tag_count,
          std::count_if(taken_.begin(), taken_.end(),
                        [](const Taken& image) { return image.split == train; }),
          rejected_total_);
    }
    ids_.assign(names_.size(), -1);
    for (size_t id = 0; id < vocabulary.tags.size(); ++id) {
      ids_[numbers_.at(vocabulary.tags[id])] = static_cast<int32_t>(id);
    }
    return vocabulary;
  }

  std::vector<int32_t> kept_ids(const std::vector<uint32_t>& tags) const {
    std::vector<int32_t> ids;
    for (const uint32_t tag : tags) {
      if (ids_[tag] >= 0) ids.push_back(ids_[tag]);
    }
    return ids;
  }

  /// Returns {"train": {images, tags, truth, files}, …}.
  Json write_splits(const Vocabulary&) {
    std::array<SplitIndex, 2> indices;
    for (const auto& image : taken_) {
      tags_before_[image.split] += static_cast<int64_t>(image.tags.size());
      auto tags = kept_ids(image.tags);
      auto truth = kept_ids(image.truth);
      if (tags.empty() && (image.split == train || truth.empty())) {
        reject(image.split, Rejection::no_kept_tag, image.key, sources_[image.source].path.string(),
               "");
        continue;
      }
      indices[image.split].add(image.key, image.place, std::move(tags), std::move(truth));
    }
    Json splits = Json::object();
    for (const SplitNumber split : {train, val}) {
      SplitIndex& index = indices[split];
      index.has_truth = has_truth_[split];
      if (index.size() == 0) {
        if (split == train || read_[val] > 0) {
          fail("no image is left in split '{}' of the {} read; see {}", split_names[split],
               read_[split], (options_.out / "rejected.jsonl").string());
        }
        continue;
      }
      splits[split_names[split]] = {{"images", index.size()},
                                    {"tags", index.tag_ids.size()},
                                    {"truth", index.truth_ids.size()},
                                    {"files", index.write(options_.out / split_names[split])}};
    }
    return splits;
  }

  void write_rejected() const {
    write_file_atomic(options_.out / "rejected.jsonl", rejected_lines_);
  }

  Json description(const Vocabulary& vocabulary, const Json& splits) const {
    Json shards = Json::array();
    for (const auto& shard : shards_) {
      shards.push_back({{"path", shard.path}, {"bytes", shard.bytes}, {"sha256", shard.sha256}});
    }
    return {{"format", "hardmoe dataset 1"},
            {"vocabulary", vocabulary.size()},
            {"vocabulary_sha256", sha256_of_file(options_.out / "tags.tsv")},
            {"splits", splits},
            {"options",
             {{"resize", options_.resize},
              {"min_tag_count", options_.min_tag_count},
              {"max_tags", options_.max_tags},
              {"val_fraction", options_.val_fraction},
              {"seed", options_.seed}}},
            {"shards", shards}};
  }

  Json counts(const Vocabulary& vocabulary, const Json& splits) const {
    Json result = {{"splits", Json::object()},
                   {"vocabulary", vocabulary.size()},
                   {"distinct_tags", distinct_tags_},
                   {"renamed_keys", renamed_},
                   {"top_tags", Json::array()}};
    for (const SplitNumber split : {train, val}) {
      if (!splits.contains(split_names[split])) continue;
      Json entry = {{"read", read_[split]}};
      for (const auto& [key, value] : splits[split_names[split]].items()) entry[key] = value;
      entry["tags_before"] = tags_before_[split];
      entry["rejected"] = Json::object();
      for (size_t r = 1; r < rejection_names.size(); ++r) {
        if (rejected_[split][r] > 0) entry["rejected"][rejection_names[r]] = rejected_[split][r];
      }
      result["splits"][split_names[split]] = entry;
    }
    for (size_t id = 0; id < std::min<size_t>(5, vocabulary.tags.size()); ++id) {
      result["top_tags"].push_back(
          {{"tag", vocabulary.tags[id]}, {"images", vocabulary.counts[id]}});
    }
    return result;
  }

  const IngestOptions& options_;
  const TagRules& rules_;
  std::vector<OpenSource> sources_;
  std::vector<ShardRecord> shards_;
  std::array<ShardWriter, 2> writers_;
  int64_t total_ = 0;

  std::vector<Taken> taken_;
  std::unordered_set<std::string> keys_;
  std::unordered_map<std::string, uint32_t> numbers_;
  std::vector<std::string> names_;  ///< by number
  std::vector<int32_t> ids_;        ///< in the vocabulary, by number; -1: not kept
  std::array<bool, 2> has_truth_{};

  std::array<int64_t, 2> read_{}, tags_before_{};
  std::array<std::array<int64_t, rejection_names.size()>, 2> rejected_{};
  int64_t rejected_total_ = 0, unreadable_ = 0, renamed_ = 0, distinct_tags_ = 0;
  std::vector<std::string> first_unreadable_;
  std::string rejected_lines_;
};

void check(const IngestOptions& options) {
  if (options.sources.empty()) fail_usage("no sources: name tars, .jsonl files, folders or '-'");
  if (options.out.empty()) fail_usage("--out: the folder to write the dataset to is missing");
  if (!(options.val_fraction >= 0 && options.val_fraction < 1)) {
    fail_usage("--val-fraction: expected 0 or more and less than 1, found {}",
               options.val_fraction);
  }
  if (options.val_fraction > 0 && !options.val_sources.empty()) {
    fail_usage("--val-source and --val-fraction both make the split 'val'; give one of them");
  }
  if (options.resize < 0) fail_usage("--resize: expected pixels, found {}", options.resize);
  if (options.min_tag_count < 1) {
    fail_usage("--min-tag-count: expected 1 or more, found {}", options.min_tag_count);
  }
  if (options.max_tags < 0)
    fail_usage("--max-tags: expected 0 or more, found {}", options.max_tags);
  if (!(options.max_bad >= 0 && options.max_bad <= 1)) {
    fail_usage("--max-bad: expected a share from 0 to 1, found {}", options.max_bad);
  }
}

Json identity_of_file(const fs::path& file) {
  return file.empty() ? Json() : Json(sha256_of_file(file));
}

}  // namespace

IngestResult ingest(const IngestOptions& options) {
  check(options);
  std::array<std::vector<fs::path>, 2> paths = {expand_sources(options.sources),
                                                expand_sources(options.val_sources)};
  const auto is_stdin = [](const fs::path& path) { return path == "-"; };
  std::string standard_input;
  const auto named = std::count_if(paths[train].begin(), paths[train].end(), is_stdin) +
                     std::count_if(paths[val].begin(), paths[val].end(), is_stdin);
  if (named > 1) fail_usage("standard input ('-') was named twice as a source");
  if (named == 1) standard_input.assign(std::istreambuf_iterator<char>(std::cin), {});

  const TagRules rules = load_tag_rules(options.stop_tags, options.merge_tags);
  // max_bad is left out: it decides whether there is a result, not which.
  Json inputs = {{"resize", options.resize},
                 {"copy", options.storage == ShardStorage::copy},
                 {"min_tag_count", options.min_tag_count},
                 {"max_tags", options.max_tags},
                 {"stop_tags", identity_of_file(options.stop_tags)},
                 {"merge_tags", identity_of_file(options.merge_tags)},
                 {"val_fraction", options.val_fraction},
                 {"seed", options.seed},
                 {"shard_bytes", options.shard_bytes}};
  for (const SplitNumber split : {train, val}) {
    Json& list = inputs[split == train ? "sources" : "val_sources"] = Json::array();
    for (const auto& path : paths[split]) list.push_back(source_identity(path, standard_input));
  }
  Stage stage({options.out, "moe-ingest", inputs, options.force});
  if (stage.done()) return {true, stage.results()};
  // What an interrupted run left: no half of it is of use.
  for (const char* name : {"shards", "train", "val"}) fs::remove_all(options.out / name);

  std::vector<OpenSource> sources;
  for (const SplitNumber split : {train, val}) {
    for (const auto& path : paths[split]) {
      sources.push_back({path, split, open_source(path, standard_input)});
    }
  }
  IngestResult result{false, Ingest(options, rules, std::move(sources)).run()};
  stage.finish({"dataset.json", "tags.tsv", "rejected.jsonl"}, result.counts);
  return result;
}

}  // namespace hardmoe
