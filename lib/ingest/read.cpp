#include "ingest/read.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "base/error.h"
#include "base/folders.h"
#include "base/json_line.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/signals.h"
#include "base/text.h"
#include "base/threads.h"
#include "data/ordered_work.h"
#include "data/record_file.h"
#include "ingest/sources/report.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Returns how many results may wait for their turn: some for each worker, so a large image stops
/// no other.
int64_t window() { return int64_t{16} * compute_threads(); }

std::string_view text_of(const MappedFile& map) {
  return {reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()};
}

}  // namespace

IngestReader::IngestReader(const IngestOptions& options, const TagRules& rules, IngestWork& work,
                           fs::path standard_input, const std::vector<SourceSpec>& train_sources,
                           const std::vector<SourceSpec>& val_sources, SourceReport found)
    : options_(options),
      rules_(rules),
      work_(work),
      standard_input_(std::move(standard_input)),
      found_(std::move(found)),
      contents_(0),
      keys_(0) {
  for (const auto& spec : val_sources) sources_.push_back({spec, val});
  for (const auto& spec : train_sources) sources_.push_back({spec, train});
  plan();
  contents_ = KnownHashes(total_);
  keys_ = KnownHashes(total_);
  recall();
}

std::unique_ptr<Source> IngestReader::open(const PlannedSource& source) const {
  return open_source(source.spec, options_.source, standard_input_, work_.folder());
}

/// Counts the items. Each source is opened once, so that a damaged one is reported before hours of
/// work.
void IngestReader::plan() {
  const fs::path file = work_.folder() / "plan.json";
  std::vector<int64_t> items;
  if (path_exists(file)) {
    const Json plan = read_json(file);
    items = json_get<std::vector<int64_t>>(plan, "items", file.string());
    found_ = report_from(plan, file.string());
  } else {
    struct Opened {
      int64_t items = 0;
      SourceReport report;
      std::exception_ptr failure;
    };
    std::mutex unpacking;  // two sources may be the same compressed file
    const auto make = [&](int64_t i) {
      const PlannedSource& source = sources_[static_cast<size_t>(i)];
      std::unique_lock lock(unpacking, std::defer_lock);
      if (source.spec.kind != SourceKind::webdataset) lock.lock();
      Opened opened;
      try {
        if (interrupted()) return opened;
        const auto here = open(source);
        opened.items = here->size();
        opened.report = here->report();
      } catch (...) {
        opened.failure = std::current_exception();
      }
      return opened;
    };
    work_in_order<Opened>(static_cast<int64_t>(sources_.size()), compute_threads(), window(), make,
                          [&](int64_t i, const Opened& opened) {
                            throw_if_interrupted();
                            if (opened.failure) std::rethrow_exception(opened.failure);
                            items.push_back(opened.items);
                            found_.add(opened.report,
                                       sources_[static_cast<size_t>(i)].spec.path.string());
                          });
    Json plan = to_json(found_);
    plan["items"] = items;
    write_json(file, plan);
  }
  found_.tell_warnings();
  if (options_.strict) found_.refuse_passed_over();
  if (items.size() != sources_.size())
    fail("{}: belongs to another run; start anew in an empty folder", file.string());
  constexpr int64_t most = int64_t{1} << 40;  // of a source; their sum is a count, too
  for (size_t s = 0; s < sources_.size(); ++s) {
    if (items[s] < 0 || items[s] > most) {
      fail_json_field(file.string(), "items",
                      fmt::format("has {}, expected 0 to {}", items[s], most));
    }
    sources_[s].items = items[s];
    sources_[s].first = static_cast<uint64_t>(total_);
    total_ += items[s];
  }
  if (total_ == 0) {
    fail_usage(
        "{}: no images there; expected image files (JPEG, PNG, WebP, TIFF …), tars of them, or a "
        "list with a line an image{}",
        join(options_.sources, ", "),
        found_.passed_over.empty() ? "" : "; passed over:" + passed_over_text(found_.passed_over));
  }
}

/// Restores what an interrupted run knew.
void IngestReader::recall() {
  const fs::path home = fs::absolute(options_.out).lexically_normal();
  const auto& shards = work_.shards.records();
  for (size_t i = 0; i < shards.size(); ++i) {
    tar_shards_.emplace((home / shards[i].path).string(), static_cast<uint16_t>(i));
  }
  const fs::path& folder = work_.folder();
  const MappedFile rows(folder / "rows.bin"), keys(folder / "keys.txt"),
      names(folder / "names.txt");
  const std::string_view key_text = text_of(keys);
  for (size_t at = 0; at + sizeof(Row) <= rows.bytes().size(); at += sizeof(Row)) {
    Row row;
    std::memcpy(&row, rows.bytes().data() + at, sizeof row);
    contents_.add(row.content, rows_);
    const std::string_view key = key_text.substr(row.key_at);
    keys_.add(hash_of(key.substr(0, key.find('\n'))), rows_);
    ++rows_;
  }
  const std::string_view name_text = text_of(names);
  for (size_t at = 0; at < name_text.size();) {
    const size_t end = name_text.find('\n', at);
    tag_numbers_.emplace(name_text.substr(at, end - at),
                         static_cast<uint32_t>(tag_numbers_.size()));
    at = end + 1;
  }
}

bool IngestReader::in_place() const {
  return options_.resize == 0 && options_.storage != ShardStorage::copy;
}

/// Registers tars whose images stay in place as shards.
void IngestReader::register_tars(const Source& source) {
  if (!in_place()) return;
  const fs::path home = fs::absolute(options_.out).lexically_normal();
  for (const fs::path& tar : source.tars()) {
    if (tar_shards_.contains(tar.string())) continue;
    const fs::path relative = tar.lexically_relative(home);
    const bool inside = !relative.empty() && *relative.begin() != "..";
    tar_shards_[tar.string()] = work_.shards.add((inside ? relative : tar).string(),
                                                 static_cast<int64_t>(file_size_of(tar)));
  }
}

void IngestReader::close_tars(const Source& source) {
  if (!in_place()) return;
  for (const fs::path& tar : source.tars()) {
    throw_if_interrupted();
    const uint16_t number = tar_shards_.at(tar.string());
    const ShardRecord shard = work_.shards.records()[number];
    if (shard.sha256.empty()) work_.shards.close(number, shard.bytes, sha256_of_file(tar));
  }
}

void IngestReader::read() {
  last_checkpoint_ = now_seconds();
  try {
    check_unreadable();
    const auto count = static_cast<int64_t>(sources_.size());
    if (work_.position.source < count) {
      const auto& source = sources_[static_cast<size_t>(work_.position.source)];
      const auto start = static_cast<int64_t>(source.first) + work_.position.item;
      if (start > 0) log_info("resuming after {} of {} items", start, total_);
      Progress progress("ingesting", total_, start);
      while (work_.position.source < count) {
        read_source(static_cast<size_t>(work_.position.source), progress);
      }
    }
    if (work_.position.attempt > 0) read_again();
    consistent_ = false;  // while shards are closed: a later attempt closes them again
    for (const SplitNumber split : all_splits) work_.writer(split).finish();
    work_.position.all_read = true;
  } catch (...) {
    if (consistent_) try_checkpoint();
    throw;
  }
  work_.checkpoint();
}

/// Saves what was read after a failure, which is what is told, whether or not this fails, too.
void IngestReader::try_checkpoint() {
  try {
    work_.checkpoint();
  } catch (const Error&) {  // the next attempt goes on from the checkpoint before
  }
}

void IngestReader::read_source(size_t number, Progress& progress) {
  const PlannedSource& planned = sources_[number];
  const auto source = open(planned);
  if (source->size() != planned.items) {
    fail("{}: has {} images now, {} when it was first opened", planned.spec.path.string(),
         source->size(), planned.items);
  }
  register_tars(*source);
  const int64_t begin = work_.position.item;
  const auto make = [&](int64_t i) {
    return interrupted() ? Examined()
                         : examine(*source, planned.split, begin + i, options_, rules_);
  };
  work_in_order<Examined>(
      planned.items - begin, compute_threads(), window(), make, [&](int64_t i, Examined& examined) {
        throw_if_interrupted();
        const uint64_t item = planned.first + static_cast<uint64_t>(begin + i);
        take(examined, planned, item, work_.position.item);
        check_unreadable();
        checkpoint_now_and_then();
        progress.update(static_cast<int64_t>(item) + 1,
                        fmt::format("{} rejected", work_.counts.rejected_total()));
      });
  close_tars(*source);
  ++work_.position.source;
  work_.position.item = 0;
}

/// Reads the items of the retry list, in its order.
void IngestReader::read_again() {
  const RecordFile list(work_.retry_list(), RecordForm::line);
  Progress progress("trying again", list.size());
  const PlannedSource* planned = nullptr;
  std::unique_ptr<Source> source;
  while (work_.position.retried < list.size()) {
    throw_if_interrupted();
    const std::string where = work_.retry_list().string();
    const Json entry = parse_json(list.record(work_.position.retried).text, where);
    const auto item = json_get<uint64_t>(entry, "item", where);
    if (item >= static_cast<uint64_t>(total_)) {
      fail_json_field(where, "item", fmt::format("is {} of {} items", item, total_));
    }
    const auto after = std::upper_bound(
        sources_.begin(), sources_.end(), item,
        [](uint64_t value, const PlannedSource& other) { return value < other.first; });
    if (planned != &*(after - 1)) {
      planned = &*(after - 1);
      source = open(*planned);
      register_tars(*source);
    }
    Examined examined = examine(*source, planned->split,
                                static_cast<int64_t>(item - planned->first), options_, rules_);
    throw_if_interrupted();  // we may be in the middle of an image
    take(examined, *planned, item, work_.position.retried);
    checkpoint_now_and_then();
    progress.update(work_.position.retried);
  }
  check_unreadable();
}

void IngestReader::checkpoint_now_and_then() {
  const double now = now_seconds();
  if (now - last_checkpoint_ < options_.checkpoint_seconds) return;
  work_.checkpoint();
  last_checkpoint_ = now_seconds();
}

/// Takes the item and counts it in `position`. No checkpoint is made after a failure halfway.
void IngestReader::take(Examined& examined, const PlannedSource& source, uint64_t item,
                        int64_t& position) {
  consistent_ = false;
  take_item(examined, source, item);
  ++position;
  consistent_ = true;
}

void IngestReader::take_item(Examined& examined, const PlannedSource& source, uint64_t item) {
  SourceItem& found = examined.item;
  const bool left_out = found.rejection == Rejection::not_sampled;
  const SplitNumber split = left_out ? train : split_of(options_, source.split, found.key);
  ++work_.counts.read[split];
  if (left_out) {
    ++work_.counts.rejected[split][static_cast<size_t>(found.rejection)];
    work_.set_status(item, found.rejection);
    return;
  }
  if (split != val && found.rejection == Rejection::none && examined.tags.empty() &&
      !options_.keep_untagged) {
    found.rejection = Rejection::no_tags;  // ground truth alone does not train
  }
  if (found.rejection == Rejection::none) {
    work_.counts.tags[split] += static_cast<int64_t>(examined.tags.size());
    std::string detail;
    if (is_duplicate(examined, split, detail)) {
      found.rejection = Rejection::duplicate;
      found.detail = detail;
    }
  }
  work_.set_status(item, found.rejection);
  if (found.rejection != Rejection::none) {
    reject(found, source, split, item);
    return;
  }
  const std::string key = unique_key(found.key);
  add_row(examined, location_of(examined, split, key), split, key, item);
}

/// Returns whether an image with the same bytes was taken. If so, its row also gets this image's
/// tags, unless that one is in the validation sources and this one is not: what is used for
/// evaluation stays as it is.
bool IngestReader::is_duplicate(const Examined& examined, SplitNumber split, std::string& detail) {
  if (options_.duplicates == Duplicates::keep) return false;
  const auto known = contents_.find(examined.content);
  if (!known) return false;
  Row row;
  const std::string bytes =
      work_.rows.read(static_cast<int64_t>(*known * sizeof(Row)), sizeof(Row));
  std::memcpy(&row, bytes.data(), sizeof row);
  const auto at = static_cast<int64_t>(row.key_at);
  const std::string key =
      work_.keys.read(at, static_cast<size_t>(std::min<int64_t>(work_.keys.size() - at, 512)));
  detail = fmt::format("the same bytes as {}", key.substr(0, key.find('\n')));
  if (!gives_tags_to(options_, split, static_cast<SplitNumber>(row.split))) return true;
  for (const auto& tag : examined.tags) {
    const UnitedTag entry{*known, number_of(tag)};
    work_.united.write(&entry, sizeof entry);
  }
  for (const auto& tag : examined.truth) {
    const UnitedTag entry{*known, number_of(tag) | truth_bit};
    work_.united.write(&entry, sizeof entry);
  }
  return true;
}

ImageLocation IngestReader::location_of(Examined& examined, SplitNumber split,
                                        const std::string& key) {
  const SourceItem& item = examined.item;
  const std::string_view original = examined.original();
  if (in_place() && item.offset >= 0 && examined.rewritten.empty()) {
    return {tar_shards_.at(item.tar.string()), item.offset, static_cast<int32_t>(original.size())};
  }
  Json metadata = {{"tags", examined.tags}};
  if (item.truth) metadata["truth"] = examined.truth;
  return work_.writer(split).add(key, extension_of(examined.format),
                                 examined.rewritten.empty() ? original : examined.rewritten,
                                 metadata);
}

void IngestReader::add_row(const Examined& examined, const ImageLocation& location,
                           SplitNumber split, const std::string& key, uint64_t item) {
  Row row = {};
  row.item = item;
  row.content = examined.content;
  row.perceptual_hash = examined.perceptual_hash;
  row.offset = location.offset;
  row.length = location.length;
  row.shard = location.shard;
  row.split = split;
  row.has_truth = examined.item.truth ? 1 : 0;
  row.key_at = static_cast<uint64_t>(work_.keys.size());
  row.tags_at = static_cast<uint64_t>(work_.tags.size()) / sizeof(uint32_t);
  row.tags = static_cast<uint32_t>(examined.tags.size());
  row.truth = static_cast<uint32_t>(examined.truth.size());
  for (const auto* list : {&examined.tags, &examined.truth}) {
    for (const auto& tag : *list) {
      const uint32_t number = number_of(tag);
      work_.tags.write(&number, sizeof number);
    }
  }
  work_.keys.write(key + '\n');
  work_.rows.write(&row, sizeof row);
  contents_.add(examined.content, rows_);
  ++rows_;
}

void IngestReader::reject(const SourceItem& item, const PlannedSource& source, SplitNumber split,
                          uint64_t number) {
  ++work_.counts.rejected[split][static_cast<size_t>(item.rejection)];
  Json line = {{"item", number},
               {"key", item.key},
               {"split", split_names[split]},
               {"shard", item.file},
               {"reason", name_of(item.rejection)}};
  if (!item.detail.empty()) line["detail"] = item.detail;
  work_.rejected.write(json_line(line));
  if (!is_unreadable(item.rejection)) return;
  if (is_in_file(item, source.spec.kind)) ++work_.counts.in_files;
  if (work_.counts.first_unreadable.size() < 3) {
    work_.counts.first_unreadable.push_back(
        printable(fmt::format("{} ({}): {}", item.key, item.file, item.detail)));
  }
}

/// Returns a unique key, as keys name images and shards' members: a repeated one gets "-2", "-3" …
std::string IngestReader::unique_key(const std::string& key) {
  const uint64_t hash = hash_of(key);
  if (keys_.add(hash, rows_)) return key;
  int& copy = copies_.try_emplace(hash, 1).first->second;
  std::string unique;
  do {
    unique = fmt::format("{}-{}", key, ++copy);
  } while (!keys_.add(hash_of(unique), rows_));
  ++work_.counts.renamed;
  return unique;
}

uint32_t IngestReader::number_of(const std::string& tag) {
  const auto [entry, added] = tag_numbers_.emplace(tag, static_cast<uint32_t>(tag_numbers_.size()));
  if (added) work_.names.write(tag + '\n');
  return entry->second;
}

}  // namespace hardmoe
