#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "report/sections.h"
#include "train/metrics.h"

namespace hardmoe {

ImageBudget image_budget(int64_t runs, int64_t experts) {
  // A small image is some 2 to 3 kB as text; all of these together are at most some 2,000.
  const int64_t all = std::max<int64_t>(experts, 1);
  ImageBudget budget;
  budget.experts = std::max<int64_t>(1, 128 / runs);
  const int64_t shown = std::min(all, 128 * runs);
  budget.a_side = std::clamp<int64_t>(512 / shown, 4, 12);
  budget.errors = std::clamp<int64_t>(256 / shown, 2, 6);
  budget.queries = std::clamp<int64_t>(8 / runs, 2, 8);
  budget.on_map = std::clamp<int64_t>(96 / runs, 12, 48);
  return budget;
}

std::string signed_text(double value) {
  return fmt::format("{}{:.3f}", value < 0 ? "−" : "+", std::abs(value));
}

std::string metric_of(const Json& row, const std::string& name) {
  if (!row[name].is_number()) return "–";
  std::string text = metric_text(row[name].get<double>(), 1);
  const Json& error = row[name + "_error"];
  return error.is_number() ? text + fmt::format(" ± {:.3f}", error.get<double>()) : text;
}

std::string count_of(const Json& value) {
  return value.is_number() ? human_count(value.get<double>()) : "–";
}

std::string interval_of(const Json& row, const std::string& name) {
  if (!row.contains(name) || !row[name].is_number()) return "";
  return fmt::format("{} [{}, {}]", signed_text(row[name].get<double>()),
                     signed_text(row[name + "_low"].get<double>()),
                     signed_text(row[name + "_high"].get<double>()));
}

std::string share_text(double value) {
  return fmt::format("{:.{}f}%", 100 * value, value < 0.1 ? 1 : 0);
}

std::string tags_text(const RunView& run, std::span<const int32_t> tags, size_t most) {
  std::string text;
  for (size_t i = 0; i < std::min(tags.size(), most); ++i) {
    if (tags[i] < 0) break;
    text += (i > 0 ? ", " : "") +
            shortened(run.dataset->vocabulary().tags.at(static_cast<size_t>(tags[i])), 24);
  }
  return tags.size() > most ? text + ", …" : text;
}

}  // namespace hardmoe
