#include "ingest/work.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/json_field.h"
#include "base/log.h"
#include "base/recorded.h"
#include "data/record_file.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* state_name = "state.json";
constexpr const char* run_name = "run.txt";
constexpr int work_format = 1;

Json to_json(const IngestCounts& counts) {
  return {{"read", counts.read},         {"tags", counts.tags},
          {"rejected", counts.rejected}, {"renamed", counts.renamed},
          {"in_files", counts.in_files}, {"first_unreadable", counts.first_unreadable}};
}

/// Copies the values read; an earlier version's may lack the last, which stay as they are.
template <class Array>
void copy_counts(const std::vector<int64_t>& read, Array& array) {
  std::copy_n(read.begin(), std::min(read.size(), array.size()), array.begin());
}

IngestCounts counts_from(const Json& json, const std::string& where) {
  using Numbers = std::vector<int64_t>;
  IngestCounts counts;
  copy_counts(json_get<Numbers>(json, "read", where), counts.read);
  copy_counts(json_get<Numbers>(json, "tags", where), counts.tags);
  const auto rejected = json_get<std::vector<Numbers>>(json, "rejected", where);
  for (size_t s = 0; s < std::min(rejected.size(), counts.rejected.size()); ++s) {
    copy_counts(rejected[s], counts.rejected[s]);
  }
  counts.renamed = json_get<int64_t>(json, "renamed", where);
  counts.in_files = json_get_or(json, "in_files", int64_t{0}, where);
  counts.first_unreadable = json_get<std::vector<std::string>>(json, "first_unreadable", where);
  return counts;
}

/// Returns a count. Throws Error naming `where` and the key if it is none.
int64_t count_in(const Json& json, const char* key, const std::string& where) {
  const auto count = json_get<uint64_t>(json, key, where);
  if (count > INT64_MAX) fail_json_field(where, key, fmt::format("is {}, beyond a count", count));
  return static_cast<int64_t>(count);
}

/// Returns the state of the work in a folder. Throws Error naming the file if it is no object.
Json read_state(const fs::path& file) {
  Json state = read_json(file);
  if (!state.is_object()) fail("{}: holds {}, expected object", file.string(), state.type_name());
  return state;
}

}  // namespace

int64_t IngestCounts::rejected_total() const {
  int64_t total = 0;
  for (const auto& split : rejected) {
    for (const int64_t count : split) total += count;
    total -= split[static_cast<size_t>(Rejection::not_sampled)];
  }
  return total;
}

int64_t IngestCounts::unreadable() const {
  int64_t total = 0;
  for (const auto& split : rejected) {
    for (size_t i = 0; i < split.size(); ++i) {
      if (is_unreadable(static_cast<Rejection>(i))) total += split[i];
    }
  }
  return total;
}

bool IngestWork::exists(const fs::path& out) { return path_exists(folder_in(out) / state_name); }

bool IngestWork::has_failed(const fs::path& out) {
  const fs::path file = folder_in(out) / state_name;
  return exists(out) && json_get_or(read_state(file), "failed", false, file.string());
}

fs::path IngestWork::retry_list() const {
  return folder_ / fmt::format("retry-{}.jsonl", position.attempt);
}

fs::path IngestWork::rejected_list() const {
  return folder_ / fmt::format("rejected-{}.jsonl", position.attempt);
}

IngestWork::IngestWork(fs::path out, int64_t shard_bytes, std::string run)
    : out_(std::move(out)), folder_(folder_in(out_)), run_(std::move(run)) {
  Json state = Json::object();
  const std::string where = (folder_ / state_name).string();
  if (exists(out_)) state = read_state(where);
  const fs::path run_file = folder_ / run_name;
  const bool own = path_exists(run_file) && read_file(run_file) == run_ &&
                   (state.empty() || json_get_or(state, "run", std::string(), where) == run_);
  if (!own) {
    if (!state.empty()) {
      log_warning("{}: was left by a run with other inputs; removing it", folder_.string());
    }
    state = Json::object();
    remove_file(run_file);  // removed first, in case this process is killed
    remove_tree(folder_);
  }
  if (!state.empty() && json_get_or(state, "format", int64_t{0}, where) != work_format) {
    fail("{}: written by another version; start anew in an empty folder", folder_.string());
  }
  if (state.empty()) {  // remove what a run left that reached no checkpoint
    remove_tree(out_ / "shards");
    for (const char* name : split_names) remove_tree(out_ / name);
  }
  make_writable_folder(folder_);
  if (!own) write_file_atomic(run_file, run_);
  Json lengths = Json::object();
  Json open_shards = Json::array();
  if (!state.empty()) {
    lengths = json_object(state, "bytes", where);
    open_shards = json_list(state, "open_shards", where);
    counts = counts_from(json_object(state, "counts", where), where);
    position = {count_in(state, "source", where), count_in(state, "item", where),
                count_in(state, "attempt", where), count_in(state, "retried", where),
                json_get<bool>(state, "all_read", where)};
  }
  const Json crcs = json_get_or(state, "crc32c", Json::object(), where);
  const auto require_whole = [&](const char* name, AppendFile& file) {
    if (state.empty()) return;
    require_crc32c(file.path(), file.crc32c(), json_get<std::string>(crcs, name, where),
                   remedy_for_work(out_));
  };
  const auto open = [&](const char* name, const fs::path& file) {
    AppendFile opened(file, lengths.empty() ? 0 : count_in(lengths, name, where));
    require_whole(name, opened);
    return opened;
  };
  rows = open("rows", folder_ / "rows.bin");
  tags = open("tags", folder_ / "tags.bin");
  keys = open("keys", folder_ / "keys.txt");
  names = open("names", folder_ / "names.txt");
  united = open("united", folder_ / "united.bin");
  status_ = open("status", folder_ / "status.bin");
  changed_ = open("changed", folder_ / "changed.bin");
  read_changes();
  rejected = open("rejected", rejected_list());
  shards =
      ShardList(folder_ / "shards.jsonl", lengths.empty() ? 0 : count_in(lengths, "shards", where),
                [&](AppendFile& file) { require_whole("shards", file); });
  for (const SplitNumber split : all_splits) {
    writers_[split] = std::make_unique<ShardWriter>(out_, split_names[split], shard_bytes, shards);
    if (split < open_shards.size()) writers_[split]->resume(open_shards[split]);
  }
  remove_strays();
}

void IngestWork::set_status(uint64_t item, Rejection status) {
  if (static_cast<int64_t>(item) >= status_.size()) return status_.write(&status, 1);
  // What a checkpoint has counted stays as it is, or the checkpoint would be of another file.
  const ChangedStatus change = {item, static_cast<uint64_t>(status)};
  changed_.write(&change, sizeof change);
  changes_[item] = static_cast<char>(status);
}

std::string IngestWork::statuses(int64_t first, int64_t count) {
  std::string found = status_.read(first, static_cast<size_t>(count));
  const auto begin = static_cast<uint64_t>(first);
  for (auto change = changes_.lower_bound(begin);
       change != changes_.end() && change->first < begin + found.size(); ++change) {
    found[change->first - begin] = change->second;
  }
  return found;
}

void IngestWork::read_changes() {
  const std::string bytes = changed_.read(0, static_cast<size_t>(changed_.size()));
  for (size_t at = 0; at + sizeof(ChangedStatus) <= bytes.size(); at += sizeof(ChangedStatus)) {
    ChangedStatus change;
    std::memcpy(&change, bytes.data() + at, sizeof change);
    changes_[change.item] = static_cast<char>(change.status);
  }
}

/// Removes what a killed process left unfinished, and shards that no checkpoint knows.
void IngestWork::remove_strays() const {
  std::vector<fs::path> folders = {folder_};
  for (const char* split : split_names) folders.push_back(out_ / split);
  for (const fs::path& folder : folders) {
    if (!path_exists(folder)) continue;
    for (const FolderEntry& entry : list_folder(folder)) {
      if (entry.path().extension() == ".tmp") remove_file(entry.path(), After::not_synced);
    }
  }
  if (!path_exists(out_ / "shards")) return;
  std::set<std::string> known;
  for (const auto& shard : shards.records()) {
    known.insert(shard.path);
    if (shard.sha256.empty()) known.insert(shard.path + ".part");
  }
  for (const FolderEntry& entry : list_folder(out_ / "shards")) {
    const bool stray = !known.contains("shards/" + entry.name());
    if (stray) remove_file(entry.path(), After::not_synced);
  }
}

void IngestWork::checkpoint() {
  Json lengths = Json::object(), crcs = Json::object();
  const auto sync = [&](const char* name, AppendFile& file) {
    file.sync();
    lengths[name] = file.size();
    crcs[name] = format_crc32c(file.crc32c());
  };
  sync("rows", rows);
  sync("tags", tags);
  sync("keys", keys);
  sync("names", names);
  sync("united", united);
  sync("status", status_);
  sync("changed", changed_);
  sync("rejected", rejected);
  sync("shards", shards.file());
  Json open_shards = Json::array();
  for (const auto& writer : writers_) open_shards.push_back(writer->checkpoint());
  write_json(folder_ / state_name, {{"format", work_format},
                                    {"run", run_},
                                    {"source", position.source},
                                    {"item", position.item},
                                    {"attempt", position.attempt},
                                    {"retried", position.retried},
                                    {"all_read", position.all_read},
                                    {"failed", failed},
                                    {"bytes", lengths},
                                    {"crc32c", crcs},
                                    {"open_shards", open_shards},
                                    {"counts", to_json(counts)}});
}

fs::path IngestWork::show_rejected() {
  rejected.sync();
  fs::path shown = out_ / "rejected.jsonl";
  copy_file_atomic(rejected_list(), shown);
  return shown;
}

void IngestWork::forget() const { remove_file(folder_ / state_name); }

bool IngestWork::has_failures() const {
  for (const auto& split : counts.rejected) {
    for (size_t i = 0; i < split.size(); ++i) {
      if (is_unreadable(static_cast<Rejection>(i)) && split[i] > 0) return true;
    }
  }
  return false;
}

void IngestWork::begin_retry() {
  if (position.attempt > 0 &&
      position.retried < RecordFile(retry_list(), RecordForm::line).size()) {
    return;  // an earlier one was interrupted and continues
  }
  rejected.sync();
  const fs::path before = rejected_list();
  ++position.attempt;
  position.retried = 0;
  AtomicFile retry(retry_list());
  AppendFile stay(rejected_list(), 0);
  const RecordFile lines(before, RecordForm::line);
  for (int64_t number = 0; number < lines.size(); ++number) {
    std::string line(lines.record(number).text);
    const Json entry = parse_json(line, before.string());
    const auto name = json_get<std::string>(entry, "reason", before.string());
    const auto reason = static_cast<Rejection>(
        std::find(rejection_names.begin(), rejection_names.end(), name) - rejection_names.begin());
    line += '\n';
    if (!is_unreadable(reason)) {
      stay.write(line);
      continue;
    }
    retry.write(line);
    for (const SplitNumber split : all_splits) {
      if (json_get<std::string>(entry, "split", before.string()) != split_names[split]) continue;
      --counts.rejected[split][static_cast<size_t>(reason)];
      --counts.read[split];
    }
  }
  counts.in_files = 0;
  counts.first_unreadable.clear();
  position.all_read = false;
  retry.commit();
  rejected = std::move(stay);
  checkpoint();
}

}  // namespace hardmoe
