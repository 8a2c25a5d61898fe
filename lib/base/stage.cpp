#include "base/stage.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/version.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr const char* record_name = "stage.json";
constexpr const char* lock_name = ".lock";
constexpr const char* log_name = "log.txt";  // a launcher keeps the command's messages here

bool is_kept(const std::string& name) { return name == lock_name || name == log_name; }

Json finished_record(const fs::path& folder, const std::string& command) {
  const fs::path file = folder / record_name;
  require_file(file, fmt::format("run `{}` to make {} first", command, folder.string()),
               ExitStatus::usage);
  Json record = read_json(file);
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

void remove_contents(const Stage::Options& options) {
  std::vector<fs::path> contents;
  for (const auto& entry : fs::directory_iterator(options.folder)) {
    const std::string name = entry.path().filename().string();
    if (is_kept(name)) continue;
    const auto& known = options.writes;
    if (!known.empty() && name != record_name &&
        std::find(known.begin(), known.end(), name) == known.end()) {
      fail_usage("{}: holds '{}', which `{}` did not write; move it, or choose another --out",
                 options.folder.string(), name, options.command);
    }
    contents.push_back(entry.path());
  }
  for (const auto& path : contents) fs::remove_all(path);
}

/// What AtomicFile left behind when its process was killed: NAME.PID.tmp. The lock is ours, so no
/// process is still writing it.
void remove_temporaries(const fs::path& folder) {
  std::vector<fs::path> leftover;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto parts = split(entry.path().filename().string(), '.');
    if (parts.size() < 3 || parts.back() != "tmp") continue;
    const std::string& pid = parts[parts.size() - 2];
    const bool number = !pid.empty() && pid.find_first_not_of("0123456789") == std::string::npos;
    if (number) leftover.push_back(entry.path());
  }
  for (const auto& file : leftover) fs::remove(file);
}

/// Throws Error unless every output that `record` lists is in the folder.
void require_outputs(const fs::path& folder, const Json& record) {
  const auto outputs = json_get<Json>(record, "outputs", folder.string());
  for (const auto& [name, hash] : outputs.items()) {
    if (!fs::exists(folder / name)) {
      fail("{}: {} calls it done, but '{}' is gone; put it back, or remove {} and run again",
           folder.string(), record_name, name, folder.string());
    }
  }
}

/// What the run that made the result warned of holds for whoever is shown it again.
void repeat_warnings(const Json& record) {
  const auto said = warnings_so_far();
  for (const Json& warning : record.value("warnings", Json::array())) {
    const std::string text = warning.is_string() ? warning.get<std::string>() : "";
    if (!text.empty() && std::ranges::find(said, text) == said.end()) log_warning("{}", text);
  }
}

/// To start anew would take away what is read.
void refuse_own_inputs(const Stage::Options& options) {
  const auto is_in = [](const fs::path& folder, const fs::path& path) {
    return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first ==
           folder.end();
  };
  // As they are named and as links lead.
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
  return FileLock(options.folder / lock_name, options.folder.string());
}

}  // namespace

Stage::Stage(Options options)
    : options_(std::move(options)), lock_(lock_folder(options_)), start_seconds_(now_seconds()) {
  remove_temporaries(options_.folder);
  const fs::path file = options_.folder / record_name;
  if (fs::exists(file)) {
    const Json record = read_json(file);
    const std::string where = file.string();
    const auto command = json_get<std::string>(record, "command", where);
    if (command != options_.command) {
      fail_usage("{}: holds the result of `{}`; choose another --out for `{}`",
                 options_.folder.string(), command, options_.command);
    }
    const auto changes = json_differences(json_get<Json>(record, "inputs", where), options_.inputs);
    if (changes.empty()) {
      done_ = json_get<bool>(record, "done", where);
      if (done_) {
        require_outputs(options_.folder, record);
        results_ = json_get<Json>(record, "results", where);
        repeat_warnings(record);
      }
      return;
    }
    if (!options_.force) {
      fail_usage("{}: made from other inputs; choose another --out, or --force to redo it:{}",
                 options_.folder.string(), indented_list(changes));
    }
    remove_contents(options_);
  } else {
    for (const auto& entry : fs::directory_iterator(options_.folder)) {
      const auto name = entry.path().filename().string();
      if (!is_kept(name) && !options_.force) {
        fail_usage("{}: holds '{}' and no {}; choose an empty folder for --out",
                   options_.folder.string(), name, record_name);
      }
    }
  }
  reopen();
}

void Stage::reopen() {
  done_ = false;
  write_json(options_.folder / record_name, {{"command", options_.command},
                                             {"inputs", options_.inputs},
                                             {"version", version},
                                             {"done", false}});
}

void Stage::finish(const std::vector<std::string>& outputs, Json results) {
  Json hashes = Json::object();
  for (const auto& name : outputs) hashes[name] = sha256_of_file(options_.folder / name);
  results_ = std::move(results);
  done_ = true;
  Json record = {{"command", options_.command},
                 {"version", version},
                 {"inputs", options_.inputs},
                 {"done", true},
                 {"outputs", hashes},
                 {"results", results_},
                 {"seconds", now_seconds() - start_seconds_}};
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
