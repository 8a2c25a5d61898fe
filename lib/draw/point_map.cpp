#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "draw/charts.h"
#include "draw/html.h"

namespace hardmoe {
namespace {

constexpr int size = 640, margin = 20, thumbnail = 34;

double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  return *middle;
}

/// Returns the range of most values: a few far away may lie at the edge.
std::pair<double, double> usual_range(std::vector<double> values) {
  if (values.empty()) return {0, 1};
  std::ranges::sort(values);
  const size_t away = values.size() / 200;
  return {values[away], values[values.size() - 1 - away]};
}

}  // namespace

Picture draw(const PointMap& chart) {
  std::vector<double> all_x, all_y;
  for (const PlotPoint& point : chart.points) {
    all_x.push_back(point.x);
    all_y.push_back(point.y);
  }
  const auto [low_x, high_x] = usual_range(all_x);
  const auto [low_y, high_y] = usual_range(all_y);
  const Scale x(ScaleKind::linear, low_x, high_x, margin, size - margin);
  const Scale y(ScaleKind::linear, low_y, high_y, size - margin, margin);
  const auto inside = [](double pixel) { return std::clamp(pixel, 4.0, size - 4.0); };
  Picture picture{chart.title.name, chart.title.description, size, size, {}};
  for (size_t g = 0; g < chart.groups.size(); ++g) {
    // A line of no length with round ends is a dot: one path for all of a group is a fifth of the
    // bytes that circles take.
    std::string path;
    for (size_t i = 0; i < chart.points.size(); ++i) {
      if (chart.group_of[i] != static_cast<int>(g)) continue;
      path += fmt::format("M{:.0f} {:.0f}h0", inside(x.at(chart.points[i].x)),
                          inside(y.at(chart.points[i].y)));
    }
    if (path.empty()) continue;
    picture.body += fmt::format(
        "<path class=\"{}\" stroke-width=\"4\" stroke-linecap=\"round\" stroke-opacity=\"0.6\" "
        "d=\"{}\"/>",
        stroke_class(static_cast<int>(g)), path);
  }
  std::vector<PlotPoint> placed;  // of thumbnails; one that would hide another is left out
  for (const auto& [at_x, at_y, jpeg] : chart.images) {
    const auto corner = [](double pixel) {
      return std::clamp(pixel - thumbnail / 2.0, 0.0, size - double{thumbnail});
    };
    const PlotPoint place{corner(x.at(at_x)), corner(y.at(at_y))};
    const auto hidden = [&](const PlotPoint& other) {
      return std::max(std::abs(other.x - place.x), std::abs(other.y - place.y)) < thumbnail * 0.8;
    };
    if (std::ranges::any_of(placed, hidden)) continue;
    placed.push_back(place);
    picture.body +=
        fmt::format("<image x=\"{:.0f}\" y=\"{:.0f}\" width=\"{}\" height=\"{}\" href=\"{}\"/>",
                    place.x, place.y, thumbnail, thumbnail, data_uri("image/jpeg", jpeg));
  }
  for (size_t g = 0; g < chart.groups.size(); ++g) {
    std::vector<double> own_x, own_y;
    for (size_t i = 0; i < chart.points.size(); ++i) {
      if (chart.group_of[i] != static_cast<int>(g)) continue;
      own_x.push_back(chart.points[i].x);
      own_y.push_back(chart.points[i].y);
    }
    if (own_x.empty()) continue;
    const double at_x = inside(x.at(median(own_x))), at_y = inside(y.at(median(own_y)));
    const std::string name = escape_markup(shortened(chart.groups[g], 12));
    picture.body += fmt::format(
        "<circle class=\"paper\" cx=\"{0:.0f}\" cy=\"{1:.0f}\" r=\"11\" fill-opacity=\"0.85\"/>"
        "<text x=\"{0:.0f}\" y=\"{2:.0f}\" text-anchor=\"middle\" class=\"{3}\" "
        "font-weight=\"bold\">{4}</text>",
        at_x, at_y, at_y + 4, fill_class(static_cast<int>(g)), name);
  }
  return picture;
}

}  // namespace hardmoe
