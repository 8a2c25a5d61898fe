#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/files.h"
#include "base/folders.h"
#include "base/json_field.h"
#include "base/ordered_json.h"
#include "base/recorded.h"
#include "base/text.h"
#include "draw/charts.h"
#include "report/sections.h"

namespace hardmoe {
namespace {

/// A network's training log: values over images seen.
struct TrainingLog {
  std::vector<PlotPoint> loss, selection;
  double images = 0;  ///< seen in all
};

/// Reads log.jsonl of a finished training. A report's point lies at the end of the steps that its
/// mean loss is of.
TrainingLog read_log(const RunStage& stage) {
  TrainingLog log;
  const std::string where = (stage.folder / "stage.json").string();
  const Json record = read_stage_record(stage.folder / "stage.json");
  const Json& results = json_object(record, "results", where);
  const auto file = stage.folder / "log.jsonl";
  if (!path_exists(file)) return log;
  const double images = json_get_or(results, "images", 0.0, where);
  for (const auto& text : split(read_file(file), '\n')) {
    const Json line = parse_json_line(text);
    if (!line.is_object()) continue;
    if (line.contains("epoch") && line["epoch"].is_number()) {
      log.images = std::max(log.images, line["epoch"].get<double>() * images);
    }
    if (line.contains("loss") && line["loss"].is_number()) {
      log.loss.push_back({log.images, line["loss"].get<double>()});
    }
    if (line.contains("selection_loss") && line["selection_loss"].is_number()) {
      log.selection.push_back({log.images, line["selection_loss"].get<double>()});
    }
  }
  for (auto* points : {&log.loss, &log.selection}) drop_stub(*points);
  return log;
}

/// Moves the log to begin where its network's first weights came from.
void shift(TrainingLog& log, double images) {
  for (auto* points : {&log.loss, &log.selection}) {
    for (PlotPoint& point : *points) point.x += images;
  }
}

/// A value of one or several networks at each of some points of their training.
struct Spread {
  std::vector<PlotPoint> lowest, median, highest;
};

/// Returns the spread of several networks' values, each of which has its own number of points and
/// images: in each of equal shares of its training a network has the mean of its points there.
/// `begin`: images at which all began.
Spread spread_of(const std::vector<std::vector<PlotPoint>>& networks, double begin) {
  constexpr size_t shares = 24;
  std::array<std::vector<double>, shares> values;
  double images = 0, counted = 0;
  for (const auto& points : networks) {
    const double length = points.empty() ? 0 : points.back().x - begin;
    if (!(length > 0)) continue;  // no point, or none whose place is known
    images += length;
    ++counted;
    std::array<double, shares> sum{}, count{};
    for (const PlotPoint& point : points) {
      const double share = std::ceil((point.x - begin) / length * shares) - 1;
      const auto s = static_cast<size_t>(std::clamp(share, 0.0, shares - 1.0));
      sum[s] += point.y;
      ++count[s];
    }
    for (size_t s = 0; s < shares; ++s) {
      if (count[s] > 0) values[s].push_back(sum[s] / count[s]);
    }
  }
  Spread spread;
  for (size_t s = 0; s < shares; ++s) {
    auto& sorted = values[s];
    if (sorted.empty()) continue;
    std::ranges::sort(sorted);
    const double x = begin + images / counted * (static_cast<double>(s) + 1) / shares;
    spread.lowest.push_back({x, sorted.front()});
    spread.median.push_back({x, (sorted[(sorted.size() - 1) / 2] + sorted[sorted.size() / 2]) / 2});
    spread.highest.push_back({x, sorted.back()});
  }
  return spread;
}

class Curves {
 public:
  void add(const std::string& name, const TrainingLog& log, int series) {
    loss.push_back({name, log.loss, series});
    if (!log.selection.empty()) {
      selection.push_back({name, log.selection, series, Line::Style::solid, true});
    }
  }
  /// Adds one curve for the median of many networks, and two for their extremes.
  void add_spread(const std::vector<TrainingLog>& logs, double begin, int series) {
    const auto add = [&](std::vector<Line>& lines, auto values) {
      std::vector<std::vector<PlotPoint>> networks;
      for (const TrainingLog& log : logs) networks.push_back(log.*values);
      const Spread spread = spread_of(networks, begin);
      if (spread.median.empty()) return;
      lines.push_back({"experts, lowest", spread.lowest, series, Line::Style::dashed});
      lines.push_back({"experts, median", spread.median, series});
      lines.push_back({"experts, highest", spread.highest, series, Line::Style::dashed});
    };
    add(loss, &TrainingLog::loss);
    add(selection, &TrainingLog::selection);
  }
  std::vector<Line> loss, selection;
};

}  // namespace

void drop_stub(std::vector<PlotPoint>& points) {
  if (points.size() < 3) return;
  const size_t last = points.size() - 1;
  const double usual = points[last - 1].x - points[last - 2].x;
  if (points[last].x - points[last - 1].x < usual / 2) points.pop_back();
}

void add_curves(const RunContents& contents, Page& page) {
  const RunView& run = contents.run;
  const RunStage* base = run.done("base");
  page.heading(3, "Learning");
  if (base == nullptr) return page.text("The base is not trained yet.");
  const TrainingLog first = read_log(*base);
  const double begin = run.config.expert.start == ExpertStart::base ? first.images : 0;
  Curves curves;
  const int experts = run.config.partition.experts;
  const bool many = experts > 6;  // then three curves for all
  std::vector<TrainingLog> of_many;
  for (int k = 0; k < experts; ++k) {
    const RunStage* stage = run.done(fmt::format("expert {}", k));
    if (stage == nullptr) continue;
    TrainingLog log = read_log(*stage);
    shift(log, begin);
    if (many) {
      of_many.push_back(std::move(log));
    } else {
      curves.add(fmt::format("expert {}", k), log, 2 + k);
    }
  }
  curves.add_spread(of_many, begin, 2);
  if (const RunStage* stage = run.done("longer")) {
    TrainingLog log = read_log(*stage);
    shift(log, first.images);
    curves.add("base, longer", log, 1);
  }
  curves.add("base", first, 0);
  const Axis x{"images seen", ScaleKind::linear};
  std::vector<Picture> pictures = {
      draw(LineChart{{"learning-curves",
                      "Loss in training over the images that a network's weights have seen; "
                      "experts begin where the base ended."},
                     x,
                     {"training loss"},
                     curves.loss})};
  if (!curves.selection.empty()) {
    pictures.push_back(
        draw(LineChart{{"selection-curves",
                        "Loss on the split ‘selection’; an expert's on the images that the "
                        "gater gives to it."},
                       x,
                       {"held-out loss"},
                       curves.selection}));
  }
  page.drawings(pictures);
  page.note(
      curves.selection.empty()
          ? "An expert's loss is on its own images, so that a lower one need not be a better "
            "network. There are no curves on held-out images, as no network was judged on them "
            "(the split ‘selection’ of moe-ingest; base.val_every, expert.val_every)."
          : "An expert's losses are on its own images, so that a lower one need not be a "
            "better network.");
}

}  // namespace hardmoe
