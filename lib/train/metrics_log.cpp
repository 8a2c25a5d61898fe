#include "train/metrics_log.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace hardmoe {

namespace {

/// Removes the folder's event files if the run begins anew: they are of an abandoned one.
const std::filesystem::path& prepared(const std::filesystem::path& folder, int64_t from_step) {
  std::vector<std::filesystem::path> old;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const bool events = entry.path().filename().string().starts_with("events.out.tfevents.");
    if (from_step == 0 && events) old.push_back(entry.path());
  }
  for (const auto& file : old) std::filesystem::remove(file);
  return folder;
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& folder, int64_t from_step)
    : file_(folder / "log.jsonl"), events_(prepared(folder, from_step), from_step) {
  std::string kept;
  if (from_step > 0 && std::filesystem::exists(file_)) {
    for (const auto& text : split(read_file(file_), '\n')) {
      const Json line = Json::parse(text, nullptr, false);
      if (line.is_object() && line.value("step", from_step + 1) <= from_step) kept += text + '\n';
    }
  }
  write_file_atomic(file_, kept);
  out_.open(file_, std::ios::app);
}

void MetricsLog::write(const Json& line) {
  out_ << line.dump() << std::endl;
  if (!out_)
    fail("writing {}: the disk may be full; free some space and run again", file_.string());
  const auto step = json_get<int64_t>(line, "step", file_.string());
  for (const auto& [key, value] : line.items()) {
    if (value.is_number() && key != "step") events_.scalar(key, step, value.get<float>());
  }
  events_.flush();
}

}  // namespace hardmoe
