#include "run/run_status.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/error.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/stage.h"
#include "base/text.h"
#include "run/part_images.h"
#include "run/stage_record.h"
#include "run/status.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

constexpr double silence_seconds = 300;  // ten beats of a StageRecord
constexpr size_t log_tail = 4096;        // bytes in which a log's last line is

constexpr std::array activity_names = {"waiting", "running", "interrupted",
                                       "failed",  "lost",    "done"};

const char* activity_name(Activity activity) {
  return activity_names[static_cast<size_t>(activity)];
}

/// Returns a JSON file's object; an empty one if it is not there, or damaged.
Json object_in(const fs::path& file) {
  try {
    if (!path_exists(file)) return Json::object();
    Json object = read_json(file);
    return object.is_object() ? object : Json::object();
  } catch (const Error&) {
    return Json::object();
  }
}

std::string text_of(const Json& object, const char* key) {
  const Json text = object.value(key, Json());
  return text.is_string() ? text.get<std::string>() : "";
}

/// Returns a number of an object; -1 if it has none.
double number_of(const Json& object, const char* key) {
  const Json number = object.is_object() ? object.value(key, Json()) : Json();
  return number.is_number() ? number.get<double>() : -1;
}

/// Returns the last line of a training's log that has its loss; null if there is none.
Json last_report(const fs::path& log) {
  if (!path_exists(log)) return nullptr;
  const size_t size = file_size_of(log);
  const auto lines = split(read_piece(log, size > log_tail ? size - log_tail : 0, log_tail), '\n');
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    Json report = Json::parse(*line, nullptr, false);
    if (report.is_object() && report.contains("loss")) return report;
  }
  return nullptr;
}

/// Returns how long ago the file was written, by this machine's clock.
double seconds_since_written(const fs::path& file) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count() - static_cast<double>(file_state(file).seconds);
}

/// Looks at stages one after another; each partition is read once.
class Looker {
 public:
  StageView look(const RunStage& stage, const StageStatus& status) {
    StageView view{.name = stage.process.name, .seconds = status.seconds};
    const Json record = object_in(record_file(stage));
    const std::string holder = lock_holder(stage.folder / stage_lock_name);
    view.activity = activity(stage, status, text_of(record, "state"), !holder.empty());
    view.attempts = static_cast<int>(std::max(number_of(record, "attempts"), 0.0));
    view.where = holder.empty() ? text_of(record, "where") : holder;
    view.device = text_of(record, "device");
    if (view.activity != Activity::done) view.error = text_of(record, "error");
    view.images = images_.of(stage);
    view.progress = last_report(stage.folder / "log.jsonl");
    if (view.activity == Activity::running) {
      const Json told = record.value("progress", Json());
      view.seconds_left = number_of(told, "seconds_left");
      if (!view.progress.is_object()) view.progress = told;
    }
    return view;
  }

 private:
  /// `said`: by the launcher, in its record. `locked`: somebody holds the stage's lock.
  static Activity activity(const RunStage& stage, const StageStatus& status,
                           const std::string& said, bool locked) {
    const bool runs = said == "running";
    if (locked) {
      const bool silent = runs && seconds_since_written(record_file(stage)) > silence_seconds;
      return silent ? Activity::lost : Activity::running;
    }
    if (status.state == StageState::done) return Activity::done;
    if (runs) return Activity::lost;
    if (said == "failed") return Activity::failed;
    return status.state == StageState::begun ? Activity::interrupted : Activity::waiting;
  }

  PartImages images_;
};

/// Returns the number with so many digits; "" if it is not known.
std::string text_of(double number, int digits) {
  return number < 0 ? "" : fmt::format("{:.{}f}", number, digits);
}

/// Returns host, job and device: the process is in JSON.
std::string place_of(const StageView& stage) {
  const size_t at = stage.where.find(" on ");
  const std::string host = at == std::string::npos ? stage.where : stage.where.substr(at + 4);
  return host.empty() || stage.device.empty() ? host : host + ", " + stage.device;
}

}  // namespace

std::vector<StageView> look_at(const std::vector<RunStage>& stages) {
  const auto states = status_of(stages);
  Looker looker;
  std::vector<StageView> views;
  for (size_t i = 0; i < stages.size(); ++i) views.push_back(looker.look(stages[i], states[i]));
  return views;
}

bool has_failed(const StageView& stage) {
  return stage.activity == Activity::failed || stage.activity == Activity::lost;
}

std::string view_table(const std::vector<StageView>& stages) {
  std::vector<std::vector<std::string>> rows = {{"stage", "state", "images", "epoch", "loss",
                                                 "images/s", "seconds", "left", "tries", "where"}};
  std::string errors;
  for (const StageView& stage : stages) {
    rows.push_back({stage.name, activity_name(stage.activity),
                    text_of(static_cast<double>(stage.images), 0),
                    text_of(number_of(stage.progress, "epoch"), 2),
                    text_of(number_of(stage.progress, "loss"), 4),
                    text_of(number_of(stage.progress, "images_per_second"), 0),
                    stage.activity == Activity::done ? text_of(stage.seconds, 1) : "",
                    text_of(stage.seconds_left, 0),
                    stage.attempts > 0 ? std::to_string(stage.attempts) : "", place_of(stage)});
    if (!stage.error.empty()) errors += fmt::format("{}: {}\n", stage.name, stage.error);
  }
  return format_table(rows) + (errors.empty() ? "" : "\nlast errors\n" + errors);
}

Json view_json(const std::vector<StageView>& stages) {
  Json list = Json::array(), counts = Json::object();
  for (const char* name : activity_names) counts[name] = 0;
  const auto known = [](double value) { return value < 0 ? Json() : Json(value); };
  for (const StageView& stage : stages) {
    const char* state = activity_name(stage.activity);
    counts[state] = counts[state].get<int>() + 1;
    list.push_back({{"stage", stage.name},
                    {"state", state},
                    {"images", stage.images < 0 ? Json() : Json(stage.images)},
                    {"epoch", known(number_of(stage.progress, "epoch"))},
                    {"loss", known(number_of(stage.progress, "loss"))},
                    {"images_per_second", known(number_of(stage.progress, "images_per_second"))},
                    {"seconds", stage.activity == Activity::done ? Json(stage.seconds) : Json()},
                    {"seconds_left", known(stage.seconds_left)},
                    {"attempts", stage.attempts},
                    {"where", stage.where},
                    {"device", stage.device},
                    {"error", stage.error}});
  }
  return {{"counts", std::move(counts)}, {"stages", std::move(list)}};
}

}  // namespace hardmoe
