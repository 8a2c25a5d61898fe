// Charts: marks lie where the values say, and the drawing is XML whatever names are.
#include "draw/charts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <regex>

#include "base/files.h"
#include "outside.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

const std::string hostile = "</svg><script>x</script>\"&' \x01";

/// Every kind of chart, with names that are markup.
std::vector<Picture> all_kinds() {
  const ChartTitle title{"chart", hostile};
  const Axis axis{hostile};
  std::vector<Picture> pictures;
  pictures.push_back(draw(LineChart{title, axis, axis, {{hostile, {{0, 1}, {2, 3}}}}}));
  pictures.push_back(draw(PointChart{title, axis, axis, {{hostile, 1, 2, PlotPoint{1, 3}}}}));
  pictures.push_back(draw(BarChart{title, hostile, {hostile, "b"}, axis, {{hostile, {1, 2}}}, 1}));
  pictures.push_back(draw(HeatMap{title, {hostile}, {hostile}, {{{hostile, 0.5}}}}));
  pictures.push_back(
      draw(PointMap{title, {{0, 0}, {1, 1}}, {0, 0}, {hostile}, {{0, 0, "no jpeg"}}}));
  return pictures;
}

/// Returns the numbers that `pattern` finds in the drawing.
std::vector<double> numbers(const Picture& picture, const std::string& pattern) {
  std::vector<double> found;
  const std::regex expression(pattern);
  for (std::sregex_iterator at(picture.body.begin(), picture.body.end(), expression), end;
       at != end; ++at) {
    found.push_back(std::stod((*at)[1]));
  }
  return found;
}

TEST(Charts, AreXmlWhateverNamesAre) {
  const Outside python = python_with("xml.dom.minidom");
  if (!python.missing.empty()) GTEST_SKIP() << python.missing;
  const TemporaryFolder folder;
  for (const Picture& picture : all_kinds()) {
    const std::string file = (folder / "chart.svg").string();
    write_file_atomic(file, standalone_svg(picture));
    const std::string check = python.path.string() +
                              " -c 'import sys, xml.dom.minidom as m; d = m.parse(sys.argv[1]); "
                              "sys.exit(len(d.getElementsByTagName(\"script\")))' " +
                              file;
    EXPECT_EQ(std::system(check.c_str()), 0) << read_file(file);
    EXPECT_EQ(inline_svg(picture).find("<script"), std::string::npos);
  }
}

TEST(PointChart, DrawsIntervalsAroundTheirPoints) {
  const Picture picture = draw(PointChart{
      {"c", ""}, {"x"}, {"y"}, {{"a", 1, 10, PlotPoint{8, 14}}, {"b", 3, 20, PlotPoint{16, 24}}}});
  const auto x = numbers(picture, "<circle[^>]*cx=\"([0-9.]+)\"");
  const auto y = numbers(picture, "<circle[^>]*cy=\"([0-9.]+)\"");
  const auto low = numbers(picture, "stroke-width=\"1.4\" d=\"M[0-9.]+ ([0-9.]+)V");
  const auto high = numbers(picture, "stroke-width=\"1.4\" d=\"M[0-9.]+ [0-9.]+V([0-9.]+)");
  ASSERT_EQ(y.size(), 2U);
  ASSERT_EQ(high.size(), 2U);
  EXPECT_LT(x[0], x[1]);
  const double unit = (y[0] - y[1]) / 10;  // upwards, pixels fall
  EXPECT_NEAR(low[0] - y[0], 2 * unit, 0.2);
  EXPECT_NEAR(y[0] - high[0], 4 * unit, 0.2);
  EXPECT_NEAR(y[1] - high[1], 4 * unit, 0.2);
}

TEST(BarChart, HeightsAreInProportion) {
  const Picture picture =
      draw(BarChart{{"c", ""}, "g", {"0", "1"}, {"y"}, {{"a", {10, 20}}, {"b", {5, 0}}}});
  const auto heights = numbers(picture, "<rect[^>]*y=\"[0-9.]+\"[^>]*height=\"([0-9.]+)\"");
  // The legend's two squares come last.
  ASSERT_EQ(heights.size(), 6U);
  EXPECT_NEAR(heights[2] / heights[0], 2, 0.01);
  EXPECT_NEAR(heights[1] / heights[0], 0.5, 0.01);
  EXPECT_EQ(heights[3], 0);
}

TEST(LineChart, LeavesOutWhatAnAxisCannotShow) {
  const double nan = std::nan("");
  Axis logarithmic{"x", ScaleKind::logarithmic};
  const Picture picture = draw(
      LineChart{{"c", ""}, logarithmic, {"y"}, {{"a", {{0, 1}, {1, nan}, {10, 2}, {100, 3}}}}});
  EXPECT_EQ(picture.body.find("nan"), std::string::npos);
  EXPECT_EQ(picture.body.find("inf"), std::string::npos);
  const Picture empty = draw(LineChart{{"c", ""}, logarithmic, {"y"}, {{"a", {}}}});
  EXPECT_EQ(empty.body.find("nan"), std::string::npos);
}

TEST(PointMap, OfFiveThousandPointsIsSmall) {
  PointMap map{{"c", ""}, {}, {}, {"0", "1"}};
  for (int i = 0; i < 5000; ++i) {
    map.points.push_back({std::sin(i), std::cos(i * 0.7)});
    map.group_of.push_back(i % 2);
  }
  const Picture picture = draw(map);
  EXPECT_LT(picture.body.size(), 60'000U);
  EXPECT_EQ(numbers(picture, "M([0-9]+) [0-9]+h0").size(), 5000U);
}

}  // namespace
}  // namespace hardmoe
