// The charts: lines, points with intervals, bars, a heat map, and a map of many points. Each is
// given its values and returns a drawing; none knows what the values mean.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "draw/plot.h"

namespace hardmoe {

/// A line of a line chart.
struct Line {
  enum class Style { solid, dashed };
  std::string name;  ///< stands at its end; empty: none
  std::vector<PlotPoint> points;
  int series = 0;
  Style style = Style::solid;
  bool dots = false;  ///< a dot at each point
};

/// Lines over one axis. The axes grow to hold all finite points.
struct LineChart {
  ChartTitle title;
  Axis x, y;
  std::vector<Line> lines;
};
Picture draw(const LineChart& chart);

/// A point with a name, perhaps with an interval along y.
struct Mark {
  std::string name;
  double x = 0, y = 0;
  std::optional<PlotPoint> interval = {};  ///< from x to y
  int series = 0;
};

/// Points with names and intervals. The axes grow to hold them.
struct PointChart {
  ChartTitle title;
  Axis x, y;
  std::vector<Mark> marks = {};
};
Picture draw(const PointChart& chart);

/// Bars of one or more series side by side in each group.
struct BarChart {
  struct Series {
    std::string name;
    std::vector<double> values;  ///< of each group, 0 or more
  };
  ChartTitle title;
  std::string groups_name;          ///< what a group is, under the axis
  std::vector<std::string> groups;  ///< their names
  Axis y;                           ///< its low is 0
  std::vector<Series> series;
  std::optional<double> reference = {};  ///< a line across, such as the mean
};
Picture draw(const BarChart& chart);

/// Values of rows × columns as shades of one colour, with the numbers in the cells.
struct HeatMap {
  struct Cell {
    std::string text;
    double shade = 0;  ///< from 0 to 1
  };
  ChartTitle title;
  std::vector<std::string> rows, columns;
  std::vector<std::vector<Cell>> cells;  ///< of each row
};
Picture draw(const HeatMap& chart);

/// Many points in the plane, coloured by group, each group named at its median; axes have no unit
/// and are not drawn.
struct PointMap {
  struct Image {
    double x = 0, y = 0;
    std::string jpeg;  ///< a square thumbnail
  };
  ChartTitle title;
  std::vector<PlotPoint> points;
  std::vector<int> group_of;  ///< of each point
  std::vector<std::string> groups;
  std::vector<Image> images = {};  ///< over the points; the first of those that would overlap
};
Picture draw(const PointMap& chart);

}  // namespace hardmoe
