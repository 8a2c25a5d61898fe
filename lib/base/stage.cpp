#include "base/stage.h"

#include <fnmatch.h>

#include <algorithm>

#include "base/error.h"
#include "base/folders.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/recorded.h"
#include "base/text.h"
#include "base/unfinished_file.h"
#include "base/version.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* record_name = "stage.json";
constexpr const char* log_name = "log.txt";  // where a launcher keeps the command's messages

bool is_kept(const std::string& name) { return name == stage_lock_name || name == log_name; }

Json finished_record(const fs::path& folder, const std::string& command) {
  const fs::path file = folder / record_name;
  require_file(file, fmt::format("run `{}` to make {} first", command, folder.string()),
               ExitStatus::usage);
  Json record = read_stage_record(file);
  const std::string where = file.string();
  const auto found = json_get<std::string>(record, "command", where);
  if (found != command) {
    fail_usage("{}: made by `{}`, expected the result of `{}`", folder.string(), found, command);
  }
  if (!json_get<bool>(record, "done", where)) {
    fail("{}: not finished; run the same `{}` again to resume it", folder.string(), command);
  }
  return record;
}

/// Returns the pattern that matches only this name.
std::string literally(const std::string& name) {
  std::string pattern;
  for (const char c : name) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') pattern += '\\';
    pattern += c;
  }
  return pattern;
}

bool matches(const std::string& pattern, const fs::path& path) {
  return ::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0;
}

/// Returns whether one of `writes` matches the file or, for a folder or a link to one, can match
/// something inside.
bool is_written(const std::vector<std::string>& writes, const fs::path& path, bool folder) {
  return std::any_of(writes.begin(), writes.end(), [&](const std::string& pattern) {
    const auto depth = std::distance(path.begin(), path.end());
    if (!folder) return matches(pattern, path);
    const fs::path whole = pattern;
    fs::path begin;
    auto name = whole.begin();
    for (auto i = depth; i > 0 && name != whole.end(); --i) begin /= *name++;
    return name != whole.end() && matches(begin.string(), path);
  });
}

/// Returns the entries at the folder's top, except the lock and a launcher's log.
std::vector<fs::path> contents_of(const fs::path& folder) {
  std::vector<fs::path> contents;
  for (const FolderEntry& entry : list_folder(folder)) {
    if (!is_kept(entry.name())) contents.push_back(entry.path());
  }
  std::sort(contents.begin(), contents.end());
  return contents;
}

/// Returns the relative path of the first thing in the folder that its stage does not write; "" if
/// there is none.
std::string first_unknown(const fs::path& folder, const std::vector<std::string>& writes) {
  for (const FolderEntry& entry : list_tree(folder)) {
    fs::path path = entry.path().lexically_relative(folder);
    if (is_kept(path.string()) || path == record_name) continue;
    path.replace_filename(finished_name(path.filename().string()));
    if (!is_written(writes, path, entry.kind() == PathKind::folder)) return path.string();
  }
  return "";
}

/// Removes NAME.PID.tmp, which AtomicFile leaves when its process is killed, of what the stage writes.
/// We hold the lock, so no process is still writing such a file.
void remove_temporaries(const fs::path& folder, const std::vector<std::string>& writes) {
  for (const FolderEntry& entry : list_tree(folder)) {
    const std::string name = entry.name(), finished = finished_name(name);
    if (finished == name || entry.kind() != PathKind::file) continue;
    fs::path path = entry.path().lexically_relative(folder);
    const bool at_top = !path.has_parent_path();
    path.replace_filename(finished);
    if (at_top || is_written(writes, path, false)) remove_file(entry.path(), After::not_synced);
  }
}

/// Removes the checkpoints of a finished stage, which a process that was killed may have left.
void remove_checkpoints_of(const Stage::Options& options) {
  if (std::ranges::find(options.writes, checkpoint_files) == options.writes.end()) return;
  for (const fs::path& path : contents_of(options.folder)) {
    if (matches(checkpoint_files, path.filename())) try_remove(path);
  }
}

/// Throws Error unless every output that `record` lists is in the folder.
void require_outputs(const fs::path& folder, const Json& record) {
  const auto outputs = json_get<Json>(record, "outputs", folder.string());
  for (const auto& [name, hash] : outputs.items()) {
    if (!path_exists(folder / name)) {
      fail("{}: {} calls it done, but '{}' is gone; put it back, or remove {} and run again",
           folder.string(), record_name, name, folder.string());
    }
  }
}

/// Repeats the warnings of the run that made the result, because they still apply.
void repeat_warnings(const Json& record) {
  const auto said = warnings_so_far();
  for (const Json& warning : record.value("warnings", Json::array())) {
    const std::string text = warning.is_string() ? warning.get<std::string>() : "";
    if (!text.empty() && std::ranges::find(said, text) == said.end()) log_warning("{}", text);
  }
}

/// Throws Error(usage) if something that is read lies in the folder, which --force would remove.
void refuse_own_inputs(const Stage::Options& options) {
  const auto is_in = [](const fs::path& folder, const fs::path& path) {
    return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first ==
           folder.end();
  };
  // Compare paths as given, and with links followed.
  const auto absolute = [](const fs::path& path) { return fs::absolute(path).lexically_normal(); };
  const auto resolved = [&](const fs::path& path) {
    std::error_code failed;
    fs::path found = fs::weakly_canonical(path, failed);
    return failed ? absolute(path) : found;
  };
  for (const fs::path& read : options.reads) {
    if (read.empty()) continue;
    if (!is_in(absolute(options.folder), absolute(read)) &&
        !is_in(resolved(options.folder), resolved(read))) {
      continue;
    }
    fail_usage("{}: is read and lies in {}, which is to be written; choose another --out",
               read.string(), options.folder.string());
  }
}

FileLock lock_folder(const Stage::Options& options) {
  refuse_own_inputs(options);
  make_writable_folder(options.folder);
  return FileLock(options.folder / stage_lock_name, options.folder.string());
}

}  // namespace

Stage::Stage(Options options)
    : options_(std::move(options)),
      was_locked_(path_exists(options_.folder / stage_lock_name)),
      lock_(lock_folder(options_)),
      start_seconds_(now_seconds()) {
  const fs::path file = options_.folder / record_name;
  const bool has_record = path_exists(file);
  if (has_record || was_locked_) remove_temporaries(options_.folder, options_.writes);
  if (has_record) {
    continue_from(read_stage_record(file));
  } else {
    begin_without_record();
  }
}

void Stage::continue_from(const Json& record) {
  const std::string where = (options_.folder / record_name).string();
  const auto command = json_get<std::string>(record, "command", where);
  if (command != options_.command) {
    fail_usage("{}: holds the result of `{}`; choose another --out for `{}`",
               options_.folder.string(), command, options_.command);
  }
  const auto changes = json_differences(json_get<Json>(record, "inputs", where), options_.inputs);
  if (!changes.empty() && !options_.force) {
    fail_usage("{}: made from other inputs; choose another --out, or --force to redo it:{}",
               options_.folder.string(), indented_list(changes));
  }
  if (!changes.empty() || record.contains("clearing")) return begin_anew(record);
  done_ = json_get<bool>(record, "done", where);
  if (done_) {
    require_outputs(options_.folder, record);
    remove_checkpoints_of(options_);
    results_ = json_get<Json>(record, "results", where);
    repeat_warnings(record);
  } else {
    kept_ = record.value("kept", Json::object());
  }
}

/// Begins in a folder without a record: an empty one or, if forced, one with a stage's remains.
void Stage::begin_without_record() {
  const auto contents = contents_of(options_.folder);
  if (contents.empty()) return write_unfinished();
  if (options_.force && was_locked_) return begin_anew(Json::object());
  if (!was_locked_) try_remove(options_.folder / stage_lock_name);
  fail_usage("{}: holds '{}' and no {}; choose an empty folder for --out{}",
             options_.folder.string(), contents[0].filename().string(), record_name,
             was_locked_ ? ", or --force to remove what another run left there" : "");
}

/// First records that the folder's content no longer counts, so that a process killed meanwhile
/// leaves nothing that could be taken for this run's.
void Stage::begin_anew(const Json& before) {
  Json made = before.value("clearing", Json::array());
  for (const char* list : {"outputs", "kept"}) {
    if (!before.contains(list)) continue;
    for (const auto& [name, ignored] : before[list].items()) made.push_back(name);
  }
  auto writes = options_.writes;
  for (const Json& name : made) writes.push_back(literally(name.get<std::string>()));
  const std::string unknown = first_unknown(options_.folder, writes);
  if (!unknown.empty()) {
    fail_usage("{}: holds '{}', which `{}` did not write; move it, or choose another --out",
               options_.folder.string(), unknown, options_.command);
  }
  write_unfinished(made);
  for (const auto& path : contents_of(options_.folder)) {
    if (path.filename() != record_name) remove_tree(path, After::not_synced);
  }
  sync_folder(options_.folder);  // before the record that no longer lists what was here
  write_unfinished();
}

void Stage::write_unfinished(const Json& clearing) const {
  Json record = {{"format", format_text(stage_format)},
                 {"command", options_.command},
                 {"inputs", options_.inputs},
                 {"version", version},
                 {"done", false}};
  if (clearing.is_array()) record["clearing"] = clearing;
  if (!kept_.empty()) record["kept"] = kept_;
  write_json(options_.folder / record_name, record);
}

std::string Stage::identity() const {
  const nlohmann::json sorted = options_.inputs;  // sorted by key, however a command lists them
  return sha256_hex(sorted.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Stage::reopen() {
  done_ = false;
  write_unfinished();
}

void Stage::keep(const std::string& name) {
  kept_[name] = sha256_of_file(options_.folder / name);
  write_unfinished();
}

bool Stage::has_kept(const std::string& name) const {
  const fs::path file = options_.folder / name;
  if (!kept_.contains(name) || !path_exists(file)) return false;
  const std::string found = sha256_of_file(file), expected = kept_[name].get<std::string>();
  if (found == expected) return true;
  log_warning("{}: damaged since it was made: its SHA-256 is {}, recorded was {}; it is made again",
              file.string(), found, expected);
  return false;
}

void Stage::finish(const std::vector<std::string>& outputs, Json results) {
  Json hashes = Json::object(), crcs = Json::object();
  for (const auto& name : outputs) {
    const Checksums found = checksums_of_file(options_.folder / name);
    hashes[name] = found.sha256;
    crcs[name] = format_crc32c(found.crc32c);
  }
  results_ = std::move(results);
  done_ = true;
  Json record = {{"format", format_text(stage_format)},
                 {"command", options_.command},
                 {"version", version},
                 {"inputs", options_.inputs},
                 {"done", true},
                 {"outputs", hashes},
                 {"crc32c", crcs},
                 {"results", results_},
                 {"seconds", now_seconds() - start_seconds_},
                 {"machine", machine_name()}};
  if (const auto warnings = warnings_so_far(); !warnings.empty()) record["warnings"] = warnings;
  write_json(options_.folder / record_name, record);
}

std::string stage_fingerprint(const fs::path& folder, const std::string& command) {
  const Json record = finished_record(folder, command);
  return sha256_hex(json_get<Json>(record, "outputs", folder.string()).dump());
}

Json stage_inputs(const fs::path& folder, const std::string& command) {
  return json_get<Json>(finished_record(folder, command), "inputs", folder.string());
}

Json stage_results(const fs::path& folder, const std::string& command) {
  return json_get<Json>(finished_record(folder, command), "results", folder.string());
}

}  // namespace hardmoe
