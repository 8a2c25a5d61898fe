// The frame that charts with two axes have in common: grid, ticks, names of axes, and labels beside
// the ends of lines or beside points. For the charts of this room.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "draw/picture.h"
#include "draw/scale.h"

namespace hardmoe {

/// One axis of a chart.
struct Axis {
  std::string name;  ///< with the unit
  ScaleKind kind = ScaleKind::linear;
  double low = 0, high = 0;                              ///< what it shows at least
  std::function<std::string(double)> text = &axis_text;  ///< of a tick
};

/// What all charts tell about themselves.
struct ChartTitle {
  std::string name, description;  ///< see Picture
};

/// A label that belongs to a point of the plot.
struct PlotLabel {
  double x = 0, y = 0;  ///< of that point, in pixels
  std::string text;
  int series = 0;
};

/// A drawing with axes, to which marks are added in pixels of scales x and y.
class Plot {
 public:
  /// `labels`: pixels to the right of the plot for labels.
  Plot(ChartTitle title, const Axis& x, const Axis& y, int labels = 16, int width = 440,
       int height = 300);
  /// Returns the pixels that labels with these texts take.
  static int label_space(const std::vector<std::string>& texts);

  Scale x, y;
  double left() const { return left_; }
  double right() const { return right_; }
  double top() const { return top_; }
  double bottom() const { return bottom_; }

  /// Adds SVG elements.
  void add(std::string_view markup) { picture_.body += markup; }
  /// Adds text at a place. `anchor`: start, middle or end.
  void add_text(double at_x, double at_y, std::string_view text, const char* anchor = "start",
                std::string_view css_class = {});
  /// Adds the labels in the right margin, apart from one another, each with a thin line to its
  /// point.
  void add_labels(const std::vector<PlotLabel>& labels);

  Picture finish() && { return std::move(picture_); }

 private:
  Picture picture_;
  double left_, right_, top_, bottom_;
};

/// Returns the points as the SVG path of a line; those that are not finite interrupt it.
struct PlotPoint {
  double x = 0, y = 0;
};
std::string path_of(const std::vector<PlotPoint>& points, const Scale& x, const Scale& y);

}  // namespace hardmoe
