#include "data/dataset.h"

#include <charconv>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/folders.h"
#include "base/json_field.h"
#include "base/recorded.h"
#include "base/text.h"
#include "data/record_file.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view tags_heading = "id\ttag\tcount";
constexpr const char* make_again = "make the dataset again with moe-ingest";

int64_t entries(const MappedNpy& array) { return array.shape().at(0); }

/// Maps a column of numbers of type T. Throws Error naming the file if the array is of another
/// type.
template <class T>
MappedNpy open_column(const fs::path& file) {
  require_file(file, "the dataset is incomplete; make it again with moe-ingest");
  MappedNpy column(file);
  static_cast<void>(column.as<T>());
  if (column.shape().size() != 1) {
    fail("{}: has shape {}, expected one dimension", file.string(), to_string(column.shape()));
  }
  return column;
}

void expect_entries(const MappedNpy& column, int64_t expected, const fs::path& file) {
  if (entries(column) == expected) return;
  fail("{}: holds {} numbers, expected {}; make the dataset again with moe-ingest", file.string(),
       entries(column), expected);
}

/// Throws Error unless the pointers begin and end where the ids do; those between are checked when
/// they are used.
void check_pointers(const MappedNpy& ptr, const MappedNpy& ids, const fs::path& file) {
  const auto pointers = ptr.as<int64_t>();
  if (pointers.front() != 0 || pointers.back() != entries(ids)) {
    fail("{}: runs from {} to {}, expected 0 to {}; make the dataset again with moe-ingest",
         file.string(), pointers.front(), pointers.back(), entries(ids));
  }
}

/// Returns what dataset.json records of a split's files.
std::vector<RecordedFile> recorded_index(const fs::path& folder, const Json& split,
                                         const std::string& where) {
  const auto hashes = json_get<std::map<std::string, std::string>>(split, "files", where);
  const auto crcs = json_get_or(split, "crc32c", std::map<std::string, std::string>(), where);
  std::vector<RecordedFile> files;
  for (const auto& [name, sha256] : hashes) {
    require_plain_name(name, where);
    const auto crc = crcs.find(name);
    files.push_back({folder / name, sha256,
                     parse_crc32c(crc == crcs.end() ? Json() : Json(crc->second), where),
                     make_again});
  }
  return files;
}

Json parse_record(const std::string& text, const std::string& where) {
  Json record = parse_json(text, where);
  require_json_format(dataset_format, record, where);
  return record;
}

int64_t parse_number(std::string_view text, const fs::path& file, size_t line) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    fail("{}, line {}: expected a number, found '{}'", file.string(), line, text);
  }
  return value;
}

}  // namespace

void save_vocabulary(const fs::path& file, const Vocabulary& vocabulary) {
  std::string text = fmt::format("{}\n", tags_heading);
  for (size_t id = 0; id < vocabulary.tags.size(); ++id) {
    text += fmt::format("{}\t{}\t{}\n", id, vocabulary.tags[id], vocabulary.counts[id]);
  }
  write_file_atomic(file, text);
}

fs::path vocabulary_file(const fs::path& dataset_or_file) {
  const bool folder = is_folder(dataset_or_file);
  fs::path file = folder ? dataset_or_file / "tags.tsv" : dataset_or_file;
  require_file(file, "expected a dataset of moe-ingest, a model, or a tags.tsv", ExitStatus::usage);
  require_as_recorded(file);
  return file;
}

Vocabulary load_vocabulary(const fs::path& file) {
  require_file(file, "the dataset is incomplete; make it again with moe-ingest");
  Vocabulary vocabulary;
  const std::string text = read_file(file);
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const auto fields = split(std::string_view(text).substr(begin, end - begin), '\t');
    begin = end + 1;
    if (++number == 1) {
      if (join(fields, "\t") != tags_heading) {
        fail("{}, line 1: expected the heading 'id tag count', found '{}'", file.string(),
             join(fields, " "));
      }
      continue;
    }
    if (fields.size() != 3 || parse_number(fields[0], file, number) != vocabulary.size()) {
      fail("{}, line {}: expected id {}, a tag and a count", file.string(), number,
           vocabulary.size());
    }
    vocabulary.tags.push_back(fields[1]);
    vocabulary.counts.push_back(parse_number(fields[2], file, number));
  }
  return vocabulary;
}

Json read_dataset_record(const fs::path& file) {
  return parse_record(read_file(file), file.string());
}

/// The lines of keys.txt, found when first needed.
struct Split::Keys {
  fs::path path;
  std::once_flag once;
  std::optional<RecordFile> lines;

  std::string line(int64_t number) {
    std::call_once(once, [&] { lines.emplace(path, RecordForm::line); });
    if (number >= lines->size()) {
      fail("{}: has {} lines, expected one an image; make the dataset again with moe-ingest",
           path.string(), lines->size());
    }
    return std::string(lines->record(number).text);
  }
};

struct Split::Index {
  std::vector<RecordedFile> files;
  std::once_flag once;
};

Split::Split(fs::path folder, std::string name, std::shared_ptr<const std::vector<Shard>> shards,
             int64_t vocabulary_size, std::vector<RecordedFile> index)
    : folder_(std::move(folder)),
      name_(std::move(name)),
      shards_(std::move(shards)),
      vocabulary_size_(vocabulary_size),
      shard_(open_column<uint16_t>(folder_ / "shard.npy")),
      offset_(open_column<int64_t>(folder_ / "offset.npy")),
      length_(open_column<int32_t>(folder_ / "length.npy")),
      tag_ptr_(open_column<int64_t>(folder_ / "tag_ptr.npy")),
      tag_ids_(open_column<int32_t>(folder_ / "tag_ids.npy")) {
  expect_entries(offset_, size(), folder_ / "offset.npy");
  expect_entries(length_, size(), folder_ / "length.npy");
  expect_entries(tag_ptr_, size() + 1, folder_ / "tag_ptr.npy");
  check_pointers(tag_ptr_, tag_ids_, folder_ / "tag_ptr.npy");
  if (path_exists(folder_ / "truth_ptr.npy")) {
    truth_ptr_ = open_column<int64_t>(folder_ / "truth_ptr.npy");
    truth_ids_ = open_column<int32_t>(folder_ / "truth_ids.npy");
    expect_entries(*truth_ptr_, size() + 1, folder_ / "truth_ptr.npy");
    check_pointers(*truth_ptr_, *truth_ids_, folder_ / "truth_ptr.npy");
  }
  require_file(folder_ / "keys.txt", "the dataset is incomplete; make it again with moe-ingest");
  keys_ = std::make_shared<Keys>();
  keys_->path = folder_ / "keys.txt";
  index_ = std::make_shared<Index>();
  index_->files = std::move(index);
}

void Split::require_index() const {
  std::call_once(index_->once, [&] {
    for (const RecordedFile& file : index_->files) require_as_recorded(file);
  });
}

int64_t Split::size() const { return entries(shard_); }

std::span<const int32_t> Split::row(const MappedNpy& ptr, const MappedNpy& ids,
                                    int64_t item) const {
  if (item < 0 || item >= size()) {
    fail("{}: asked for image {}, but there are {}", folder_.string(), item, size());
  }
  const auto pointers = ptr.as<int64_t>();
  const int64_t begin = pointers[static_cast<size_t>(item)];
  const int64_t end = pointers[static_cast<size_t>(item) + 1];
  if (begin < 0 || end < begin || end > entries(ids)) {
    fail("{}: the tags of image {} run from {} to {} of {}; make the dataset again with moe-ingest",
         folder_.string(), item, begin, end, entries(ids));
  }
  const auto tags =
      ids.as<int32_t>().subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  for (const int32_t id : tags) {
    if (id < 0 || id >= vocabulary_size_) {
      fail("{}: image {} has tag {}, the vocabulary has {}; make the dataset again with moe-ingest",
           folder_.string(), item, id, vocabulary_size_);
    }
  }
  return tags;
}

std::span<const int32_t> Split::tags(int64_t item) const { return row(tag_ptr_, tag_ids_, item); }

std::span<const int32_t> Split::truth(int64_t item) const {
  if (!has_truth()) fail_usage("{}: the split has no ground truth", folder_.string());
  return row(*truth_ptr_, *truth_ids_, item);
}

size_t Split::shard_of(int64_t item) const {
  if (item < 0 || item >= size()) {
    fail("{}: asked for image {}, but there are {}", folder_.string(), item, size());
  }
  const size_t shard = shard_.as<uint16_t>()[static_cast<size_t>(item)];
  if (shard >= shards_->size()) {
    fail("{}: image {} is in shard {} of {}; make the dataset again with moe-ingest",
         folder_.string(), item, shard, shards_->size());
  }
  return shard;
}

std::span<const std::byte> Split::image(int64_t item) const {
  const size_t shard = shard_of(item);
  const auto at = static_cast<size_t>(item);
  const int64_t offset = offset_.as<int64_t>()[at];
  const int64_t length = length_.as<int32_t>()[at];
  const auto bytes = (*shards_)[shard].file.bytes();
  if (bytes.empty()) {
    fail(
        "{}: this shard is not on this machine, but holds image {} of {}; copy it from where the "
        "dataset was laid out",
        (*shards_)[shard].path.string(), item, folder_.string());
  }
  if (offset < 0 || length < 0 || static_cast<size_t>(offset) > bytes.size() ||
      static_cast<size_t>(length) > bytes.size() - static_cast<size_t>(offset)) {
    fail("{}: image {} lies at {}+{}, beyond the {} bytes of {}", folder_.string(), item, offset,
         length, bytes.size(), (*shards_)[shard].path.string());
  }
  return bytes.subspan(static_cast<size_t>(offset), static_cast<size_t>(length));
}

std::string Split::key(int64_t item) const {
  if (item < 0 || item >= size()) {
    fail("{}: asked for image {}, but there are {}", folder_.string(), item, size());
  }
  return keys_->line(item);
}

std::string Split::where(int64_t item) const {
  const std::string name = key(item);
  const size_t shard = shard_.as<uint16_t>()[static_cast<size_t>(item)];
  return fmt::format(
      "{}: {}", shard < shards_->size() ? (*shards_)[shard].path.string() : folder_.string(), name);
}

Dataset Dataset::open(const fs::path& folder, DatasetRecords records) {
  const fs::path file = folder / "dataset.json";
  if (is_file(folder)) {
    fail_usage("{}: is a file; expected a folder written by moe-ingest", folder.string());
  }
  if (const fs::path stage = folder / "stage.json"; !path_exists(file) && path_exists(stage)) {
    const auto command = read_stage_record(stage).value("command", "");
    if (command == "moe-ingest" || command == "moe-partition --write-shards") {
      fail_usage("{}: not finished; run the same {} again to continue", folder.string(), command);
    }
  }
  require_file(
      file,
      is_folder(folder)
          ? fmt::format("make a dataset of what is there first: moe-ingest {} --out DATASET",
                        folder.string())
          : fmt::format("make the dataset first: moe-ingest … --out {}", folder.string()),
      ExitStatus::usage);
  const std::string text = read_file(file);
  const std::string where = file.string();
  const bool compared = records == DatasetRecords::compared;
  if (const auto whole = recorded(file, UnfinishedStage::allowed); whole && compared) {
    require_sha256(*whole, sha256_hex(text));
  }
  const Json record = parse_record(text, where);

  Dataset dataset;
  dataset.folder_ = folder;
  const bool laid_out = record.contains("laid_out_from");
  dataset.fingerprint_ =
      laid_out ? json_get<std::string>(record, "laid_out_from", where) : sha256_hex(text);
  auto shards = std::make_shared<std::vector<Shard>>();
  for (const Json& entry : json_list(record, "shards", where)) {
    const fs::path path =
        folder / json_get<std::string>(entry, "path", where);  // an absolute path stays so
    if (laid_out && !path_exists(path)) {                      // another part's, on another machine
      shards->push_back({path, MappedFile()});
      continue;
    }
    require_file(path, fmt::format("{} was made from it; put it back", folder.string()));
    shards->push_back({path, MappedFile(path)});
    const auto expected = json_get<uint64_t>(entry, "bytes", where);
    const size_t found = shards->back().file.bytes().size();
    if (found != expected) {
      fail(
          "{}: has {} bytes, but had {} when {} was made from it; make the dataset again with "
          "moe-ingest",
          path.string(), found, expected, folder.string());
    }
  }
  if (compared && record.contains("vocabulary_sha256")) {
    const fs::path tags_file = folder / "tags.tsv";
    require_file(tags_file, "the dataset is incomplete; make it again with moe-ingest");
    require_as_recorded(
        {tags_file, json_get<std::string>(record, "vocabulary_sha256", where), {}, make_again});
  }
  dataset.vocabulary_ = load_vocabulary(folder / "tags.tsv");
  const auto tags = json_get<int64_t>(record, "vocabulary", where);
  if (dataset.vocabulary_.size() != tags) {
    fail("{}: has {} tags, expected {}; make the dataset again with moe-ingest",
         (folder / "tags.tsv").string(), dataset.vocabulary_.size(), tags);
  }
  const Json& splits = json_object(record, "splits", where);
  for (const auto& [name, entry] : splits.items()) {
    require_plain_name(name, where);
    const auto images = json_get<int64_t>(entry, "images", where);
    Split split(folder / name, name, shards, tags, recorded_index(folder / name, entry, where));
    if (split.size() != images) {
      fail("{}: has {} images, expected {}; make the dataset again with moe-ingest",
           (folder / name).string(), split.size(), images);
    }
    dataset.splits_.emplace(name, std::move(split));
  }
  return dataset;
}

std::vector<std::string> Dataset::split_names() const {
  std::vector<std::string> names;
  for (const auto& [name, split] : splits_) names.push_back(name);
  return names;
}

const Split& Dataset::split(const std::string& name) const {
  const auto found = splits_.find(name);
  if (found != splits_.end()) return found->second;
  fail_usage("{}: has no split '{}', only {}; choose by --split", folder_.string(), name,
             join(split_names(), ", "));
}

}  // namespace hardmoe
