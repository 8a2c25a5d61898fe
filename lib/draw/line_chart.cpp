#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "draw/charts.h"

namespace hardmoe {
namespace {

/// Returns whether the axis can show the value.
bool shown(const Axis& axis, double value) {
  return std::isfinite(value) && (axis.kind == ScaleKind::linear || value > 0);
}

/// Widens the axis to hold the value.
void include(Axis& axis, double value, bool& first) {
  if (!shown(axis, value)) return;
  const bool empty = first && axis.low == axis.high;
  axis.low = empty ? value : std::min(axis.low, value);
  axis.high = empty ? value : std::max(axis.high, value);
  first = false;
}

}  // namespace

Picture draw(const LineChart& chart) {
  Axis x = chart.x, y = chart.y;
  bool first_x = true, first_y = true;
  for (const Line& line : chart.lines) {
    for (const PlotPoint& point : line.points) {
      if (!shown(x, point.x) || !shown(y, point.y)) continue;
      include(x, point.x, first_x);
      include(y, point.y, first_y);
    }
  }
  const bool given = chart.y.low != chart.y.high;
  if (!given && y.kind == ScaleKind::linear) {  // so that no line lies on the frame
    const double margin = (y.high - y.low) / 20;
    y.low -= margin;
    y.high += margin;
  }
  if (first_x) x.low = 1, x.high = 2, y.low = 1, y.high = 2;  // no point at all
  std::vector<std::string> names;
  for (const Line& line : chart.lines) names.push_back(line.name);
  Plot plot(chart.title, x, y, Plot::label_space(names));
  std::vector<PlotLabel> labels;
  for (const Line& line : chart.lines) {
    std::vector<PlotPoint> points;
    std::ranges::copy_if(line.points, std::back_inserter(points), [&](const PlotPoint& point) {
      return shown(x, point.x) && shown(y, point.y);
    });
    if (points.empty()) continue;
    const bool dashed = line.style == Line::Style::dashed;
    plot.add(fmt::format("<path class=\"{}\" stroke-width=\"1.6\"{} d=\"{}\"/>",
                         stroke_class(line.series), dashed ? " stroke-dasharray=\"5 4\"" : "",
                         path_of(points, plot.x, plot.y)));
    for (const PlotPoint& point : points) {
      if (!line.dots && points.size() > 1) break;
      plot.add(fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.6\"/>",
                           fill_class(line.series), plot.x.at(point.x), plot.y.at(point.y)));
    }
    if (line.name.empty()) continue;
    labels.push_back(
        {plot.x.at(points.back().x), plot.y.at(points.back().y), line.name, line.series});
  }
  plot.add_labels(labels);
  return std::move(plot).finish();
}

}  // namespace hardmoe
