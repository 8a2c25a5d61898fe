#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "draw/charts.h"

namespace hardmoe {
namespace {

/// Widens the axis by a part of its extent, so that nothing lies on the frame.
void widen(Axis& axis) {
  if (axis.kind == ScaleKind::logarithmic) {
    axis.low /= 1.15;
    axis.high *= 1.15;
    return;
  }
  const double part = axis.high > axis.low ? (axis.high - axis.low) / 12 : 0;
  axis.low -= part;
  axis.high += part;
}

/// Returns where marks are drawn along x: those of nearly the same value beside one another, so
/// that their intervals can be told apart.
std::vector<double> beside_one_another(const std::vector<Mark>& marks, const Scale& x) {
  constexpr double apart = 7;
  std::vector<double> places;
  for (const Mark& mark : marks) {
    double place = x.at(mark.x);
    const auto taken = [&](double other) { return std::abs(other - place) < apart - 1; };
    while (std::ranges::any_of(places, taken)) place += apart;
    places.push_back(place);
  }
  return places;
}

}  // namespace

Picture draw(const PointChart& chart) {
  Axis x = chart.x, y = chart.y;
  for (size_t i = 0; i < chart.marks.size(); ++i) {
    const Mark& mark = chart.marks[i];
    const PlotPoint extent = mark.interval.value_or(PlotPoint{mark.y, mark.y});
    if (i == 0) x.low = x.high = mark.x, y.low = extent.x, y.high = extent.y;
    x.low = std::min(x.low, mark.x);
    x.high = std::max(x.high, mark.x);
    y.low = std::min(y.low, extent.x);
    y.high = std::max(y.high, extent.y);
  }
  widen(x);
  widen(y);
  std::vector<std::string> names;
  for (const Mark& mark : chart.marks) names.push_back(mark.name);
  Plot plot(chart.title, x, y, Plot::label_space(names), 500);
  std::vector<PlotLabel> labels;
  const auto places = beside_one_another(chart.marks, plot.x);
  for (size_t i = 0; i < chart.marks.size(); ++i) {
    const Mark& mark = chart.marks[i];
    const double at_x = places[i], at_y = plot.y.at(mark.y);
    if (mark.interval) {
      plot.add(fmt::format("<path class=\"{}\" stroke-width=\"1.4\" d=\"M{:.1f} {:.1f}V{:.1f}\"/>",
                           stroke_class(mark.series), at_x, plot.y.at(mark.interval->x),
                           plot.y.at(mark.interval->y)));
    }
    plot.add(fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.5\"/>",
                         fill_class(mark.series), at_x, at_y));
    labels.push_back({at_x, at_y, mark.name, mark.series});
  }
  plot.add_labels(labels);
  return std::move(plot).finish();
}

}  // namespace hardmoe
