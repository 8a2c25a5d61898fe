#include "run/stage_record.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/lock_signature.h"
#include "base/log.h"
#include "run/status.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr double first_beat = 1, beat_seconds = 30;

/// Returns the record of earlier attempts; an empty object if there is none to be read.
Json earlier_record(const fs::path& file) {
  try {
    if (!path_exists(file)) return Json::object();
    Json record = read_json(file);
    return record.is_object() ? record : Json::object();
  } catch (const Error&) {
    return Json::object();
  }
}

/// Returns what a stage's command computes on.
std::string device_of(const RunStage& stage) {
  const auto& words = stage.process.arguments;
  const auto option = std::ranges::find(words, "--device");
  return option == words.end() || option + 1 == words.end() ? "cpu" : *(option + 1);
}

}  // namespace

fs::path record_file(const RunStage& stage) {
  return fs::path(stage.process.log).replace_extension(".json");
}

StageRecord::StageRecord(const RunStage& stage) : due_(now_seconds() + first_beat) {
  if (stage.folder.empty()) return;
  done_before_ = status_of({stage})[0].state == StageState::done;
  file_ = record_file(stage);
  record_ = earlier_record(file_);
  if (done_before_) return;
  const Json attempts = record_.value("attempts", Json()), error = record_.value("error", Json());
  record_ = {{"attempts", attempts.is_number_integer() ? attempts.get<int>() + 1 : 1},
             {"where", process_name()},
             {"device", device_of(stage)},
             {"state", ""},
             {"error", error.is_string() ? error : Json("")},
             {"progress", nullptr}};
}

void StageRecord::beat(const Json& progress) {
  if (file_.empty() || done_before_ || now_seconds() < due_) return;
  due_ = now_seconds() + beat_seconds;
  record_["progress"] = progress;
  write("running");
}

void StageRecord::end(const std::string& state, const std::string& error) {
  if (file_.empty() || (done_before_ && record_.value("state", Json()) == "done")) return;
  if (!error.empty()) record_["error"] = error;
  write(state);
}

void StageRecord::write(const std::string& state) {
  record_["state"] = state;
  try {
    write_json(file_, record_);
  } catch (const Error&) {  // a full disk: the stage itself will tell
  }
}

}  // namespace hardmoe
