#include "train/metrics_log.h"

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/ordered_json.h"
#include "base/text.h"

namespace hardmoe {

namespace {

/// Removes the folder's event files if the run begins anew: they are of an abandoned one.
const std::filesystem::path& prepared(const std::filesystem::path& folder, int64_t from_step) {
  if (from_step > 0) return folder;
  for (const FolderEntry& entry : list_folder(folder)) {
    if (entry.name().starts_with("events.out.tfevents.")) {
      remove_file(entry.path(), After::not_synced);
    }
  }
  return folder;
}

/// Returns an earlier run's lines up to `from_step`, and cuts the file to these.
std::string kept_lines(const std::filesystem::path& file, int64_t from_step) {
  std::string kept;
  if (from_step > 0 && path_exists(file)) {
    for (const auto& text : split(read_file(file), '\n')) {
      const Json line = parse_json_line(text);
      const Json step = line.is_object() ? line.value("step", Json()) : Json();
      if (step.is_number_integer() && step.get<int64_t>() <= from_step) kept += text + '\n';
    }
  }
  write_file_atomic(file, kept);
  return kept;
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& folder, int64_t from_step)
    : file_(folder / "log.jsonl"), events_(prepared(folder, from_step), from_step) {
  const auto size = static_cast<int64_t>(kept_lines(file_, from_step).size());
  lines_ = AppendFile(file_, size);
}

void MetricsLog::write(const Json& line) {
  lines_.write(line.dump() + '\n');
  lines_.flush();
  const auto step = json_get<int64_t>(line, "step", file_.string());
  for (const auto& [key, value] : line.items()) {
    if (value.is_number() && key != "step") events_.scalar(key, step, value.get<float>());
  }
  events_.flush();
}

void MetricsLog::sync() {
  lines_.sync();
  events_.sync();
}

}  // namespace hardmoe
