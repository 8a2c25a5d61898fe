#include "ingest/work.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
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

/// Reads an array; an earlier version's may lack the last entries, which stay as they are.
template <class T, size_t N>
void read_array(const Json& json, std::array<T, N>& array) {
  for (size_t i = 0; i < std::min(N, json.size()); ++i) {
    if constexpr (std::is_integral_v<T>) {
      json.at(i).get_to(array[i]);
    } else {
      read_array(json.at(i), array[i]);
    }
  }
}

IngestCounts counts_from(const Json& json) {
  IngestCounts counts;
  read_array(json.at("read"), counts.read);
  read_array(json.at("tags"), counts.tags);
  read_array(json.at("rejected"), counts.rejected);
  json.at("renamed").get_to(counts.renamed);
  counts.in_files = json.value("in_files", int64_t{0});
  json.at("first_unreadable").get_to(counts.first_unreadable);
  return counts;
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
  return exists(out) && read_json(folder_in(out) / state_name).value("failed", false);
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
  if (exists(out_)) state = read_json(folder_ / state_name);
  const fs::path run_file = folder_ / run_name;
  const bool own = path_exists(run_file) && read_file(run_file) == run_ &&
                   (state.empty() || state.value("run", "") == run_);
  if (!own) {
    if (!state.empty()) {
      log_warning("{}: was left by a run with other inputs; removing it", folder_.string());
    }
    state = Json::object();
    remove_file(run_file);  // removed first, in case this process is killed
    remove_tree(folder_);
  }
  if (!state.empty() && state.value("format", 0) != work_format) {
    fail("{}: written by another version; start anew in an empty folder", folder_.string());
  }
  if (state.empty()) {  // remove what a run left that reached no checkpoint
    remove_tree(out_ / "shards");
    for (const char* name : split_names) remove_tree(out_ / name);
  }
  make_writable_folder(folder_);
  if (!own) write_file_atomic(run_file, run_);
  const std::string where = (folder_ / state_name).string();
  Json lengths = Json::object();
  Json open_shards = Json::array();
  if (!state.empty()) {
    lengths = state.at("bytes");
    open_shards = state.at("open_shards");
    counts = counts_from(state.at("counts"));
    position = {json_get<int64_t>(state, "source", where), json_get<int64_t>(state, "item", where),
                json_get<int64_t>(state, "attempt", where),
                json_get<int64_t>(state, "retried", where),
                json_get<bool>(state, "all_read", where)};
  }
  const Json crcs = state.value("crc32c", Json::object());
  const auto require_whole = [&](const char* name, AppendFile& file) {
    if (state.empty()) return;
    require_crc32c(file.path(), file.crc32c(), crcs.value(name, ""), remedy_for_work(out_));
  };
  const auto open = [&](const char* name, const fs::path& file) {
    AppendFile opened(file, lengths.value(name, int64_t{0}));
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
  shards = ShardList(folder_ / "shards.jsonl", lengths.value("shards", int64_t{0}),
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
    const auto name = entry.at("reason").get<std::string>();
    const auto reason = static_cast<Rejection>(
        std::find(rejection_names.begin(), rejection_names.end(), name) - rejection_names.begin());
    line += '\n';
    if (!is_unreadable(reason)) {
      stay.write(line);
      continue;
    }
    retry.write(line);
    for (const SplitNumber split : all_splits) {
      if (entry.at("split") != split_names[split]) continue;
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
