#include "run/stage_progress.h"

#include "base/text.h"

namespace hardmoe {
namespace {

/// Returns "12 s", "3 min" or "2.5 h".
std::string duration_text(double seconds) {
  if (seconds < 100) return fmt::format("{:.0f} s", seconds);
  if (seconds < 6000) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

double number_in(const Json& told, const char* key) {
  const auto found = told.find(key);
  return found != told.end() && found->is_number() ? found->get<double>() : 0;
}

}  // namespace

std::string progress_text(const RunningStage& stage) {
  const auto& [name, told] = stage;
  if (!told.is_object()) return name;
  const double done = number_in(told, "done"), total = number_in(told, "total");
  const double share = total > 0 ? done / total : 1;
  std::string text = fmt::format("{} {:.0f}%", name, 100 * share);
  if (number_in(told, "loss") != 0) text += fmt::format(", loss {:.4f}", number_in(told, "loss"));
  if (share < 1) text += fmt::format(", {} left", duration_text(number_in(told, "seconds_left")));
  return text;
}

StageProgress::StageProgress() : form_(progress_form()), start_(now_seconds()) {}

StageProgress::~StageProgress() {
  if (form_ == ProgressForm::bar) clear_progress_line();
}

void StageProgress::update(size_t done, size_t total, const std::vector<RunningStage>& running) {
  if (running.empty() || !times_.due(form_, now_seconds() - start_, false)) return;
  if (form_ == ProgressForm::json) {
    for (const auto& [name, told] : running) {
      if (!told.is_object()) continue;
      Json object = told;
      object["stage"] = name;
      log_progress_object(std::move(object));
    }
    return;
  }
  std::vector<std::string> texts;
  for (const RunningStage& stage : running) texts.push_back(progress_text(stage));
  const std::string text = fmt::format("[{}/{}] {}", done, total, join(texts, "; "));
  if (form_ == ProgressForm::bar) return show_progress_line(text);
  log_info("{}", text);
}

}  // namespace hardmoe
