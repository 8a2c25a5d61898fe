#include <fmt/format.h>

#include <algorithm>

#include "base/display_width.h"
#include "draw/charts.h"
#include "draw/html.h"

namespace hardmoe {
namespace {

constexpr int legend_height = 22;

/// Adds the series' names with their colours above the plot.
void add_legend(const BarChart& chart, Plot& plot) {
  double at = plot.left();
  for (size_t s = 0; s < chart.series.size(); ++s) {
    const std::string name = shortened(chart.series[s].name, 24);
    plot.add(fmt::format("<rect class=\"{}\" x=\"{:.0f}\" y=\"3\" width=\"10\" height=\"10\"/>",
                         fill_class(static_cast<int>(s)), at));
    plot.add_text(at + 14, 12, name);
    at += 14 + 7.2 * static_cast<double>(display_width(name)) + 16;
  }
}

}  // namespace

Picture draw(const BarChart& chart) {
  const auto groups = static_cast<double>(chart.groups.size());
  Axis x{chart.groups_name, ScaleKind::linear, 0, std::max(groups, 1.0),
         [](double) { return std::string(); }};
  Axis y = chart.y;
  y.high = std::max(y.high, chart.reference.value_or(0));
  for (const auto& series : chart.series) {
    for (const double value : series.values) y.high = std::max(y.high, value);
  }
  y.high += (y.high - y.low) / (280.0 / legend_height);  // room for the legend
  Plot plot(chart.title, x, y);
  const double step = (plot.right() - plot.left()) / std::max(groups, 1.0);
  const auto count = static_cast<double>(chart.series.size());
  const double bar = step * 0.8 / count;
  const size_t every = std::max<size_t>(1, chart.groups.size() * 24 / 360 + 1);
  for (size_t g = 0; g < chart.groups.size(); ++g) {
    const double begin = plot.left() + step * (static_cast<double>(g) + 0.1);
    for (size_t s = 0; s < chart.series.size(); ++s) {
      const double top = plot.y.at(chart.series[s].values.at(g));
      plot.add(fmt::format(
          "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>",
          fill_class(static_cast<int>(s)), begin + bar * static_cast<double>(s), top,
          std::max(bar - 1, 0.5), std::max(plot.bottom() - top, 0.0)));
    }
    if (g % every != 0) continue;
    plot.add_text(begin + 0.4 * step, plot.bottom() + 17, shortened(chart.groups[g], 10), "middle",
                  "quiet");
  }
  if (chart.reference) {
    plot.add(
        fmt::format("<path class=\"axis\" stroke-dasharray=\"4 3\" d=\"M{:.0f} {:.1f}H{:.0f}\"/>",
                    plot.left(), plot.y.at(*chart.reference), plot.right()));
  }
  add_legend(chart, plot);
  return std::move(plot).finish();
}

}  // namespace hardmoe
