#include "draw/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/display_width.h"
#include "draw/html.h"

namespace hardmoe {
namespace {

constexpr int left_margin = 58, top_margin = 14, bottom_margin = 46;
constexpr size_t label_characters = 26;

}  // namespace

Plot::Plot(ChartTitle title, const Axis& x_axis, const Axis& y_axis, int labels, int width,
           int height)
    : x(x_axis.kind, x_axis.low, x_axis.high, left_margin, width - labels),
      y(y_axis.kind, y_axis.low, y_axis.high, height - bottom_margin, top_margin),
      picture_{std::move(title.name), std::move(title.description), width, height, {}},
      left_(left_margin),
      right_(width - labels),
      top_(top_margin),
      bottom_(height - bottom_margin) {
  for (const double tick : y.ticks(5)) {
    add(fmt::format("<path class=\"grid\" d=\"M{:.0f} {:.1f}H{:.0f}\"/>", left_, y.at(tick),
                    right_));
    add_text(left_ - 6, y.at(tick) + 4, y_axis.text(tick), "end", "quiet");
  }
  double free_from = 0;  // labels of a crowded axis may not touch
  for (const double tick : x.ticks(5)) {
    const double at = x.at(tick);
    const std::string text = x_axis.text(tick);
    if (text.empty()) continue;
    add(fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.0f}v4\"/>", at, bottom_));
    const double half = 3.5 * static_cast<double>(text.size()) + 2;
    if (at - half < free_from) continue;
    free_from = at + half;
    add_text(at, bottom_ + 17, text, "middle", "quiet");
  }
  add(fmt::format("<path class=\"axis\" d=\"M{:.0f} {:.0f}H{:.0f}\"/>", left_, bottom_, right_));
  add_text((left_ + right_) / 2, height - 8, x_axis.name, "middle");
  const double middle = (top_ + bottom_) / 2;
  add(
      fmt::format("<text x=\"13\" y=\"{0:.0f}\" text-anchor=\"middle\" transform=\"rotate(-90 13 "
                  "{0:.0f})\">{1}</text>",
                  middle, escape_markup(y_axis.name)));
}

int Plot::label_space(const std::vector<std::string>& texts) {
  constexpr double a_character = 6.6, beside = 18;
  size_t longest = 0;
  for (const auto& text : texts)
    longest = std::max(longest, display_width(shortened(text, label_characters)));
  return static_cast<int>(beside + a_character * static_cast<double>(longest));
}

void Plot::add_text(double at_x, double at_y, std::string_view text, const char* anchor,
                    std::string_view css_class) {
  const std::string more = css_class.empty() ? "" : fmt::format(" class=\"{}\"", css_class);
  add(fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>", at_x, at_y,
                  anchor, more, escape_markup(text)));
}

void Plot::add_labels(const std::vector<PlotLabel>& labels) {
  std::vector<double> wanted;
  wanted.reserve(labels.size());
  for (const PlotLabel& label : labels) wanted.push_back(label.y);
  const auto places = spread_apart(wanted, 15, top_, bottom_);
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto& [at_x, at_y, text, series] = labels[i];
    add(fmt::format("<path class=\"{}\" stroke-width=\"0.6\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>",
                    stroke_class(series), at_x, at_y, right_ + 8, places[i]));
    add_text(right_ + 11, places[i] + 4, shortened(text, label_characters), "start",
             fill_class(series));
  }
}

std::string path_of(const std::vector<PlotPoint>& points, const Scale& x, const Scale& y) {
  std::string path;
  bool drawing = false;
  for (const PlotPoint& point : points) {
    const double at_x = x.at(point.x), at_y = y.at(point.y);
    if (!std::isfinite(at_x) || !std::isfinite(at_y)) {
      drawing = false;
      continue;
    }
    path += fmt::format("{}{:.1f} {:.1f}", drawing ? 'L' : 'M', at_x, at_y);
    drawing = true;
  }
  return path;
}

}  // namespace hardmoe
