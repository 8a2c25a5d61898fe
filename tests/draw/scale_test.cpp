// Axes: where values lie, and which are named.
#include "draw/scale.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace hardmoe {
namespace {

TEST(Scale, LaysARangeOverPixels) {
  const Scale linear(ScaleKind::linear, 10, 20, 100, 0);
  EXPECT_DOUBLE_EQ(linear.at(10), 100);
  EXPECT_DOUBLE_EQ(linear.at(15), 50);
  const Scale logarithmic(ScaleKind::logarithmic, 1, 10000, 0, 40);
  EXPECT_DOUBLE_EQ(logarithmic.at(100), 20);
}

TEST(Scale, NamesRoundValuesWithinTheRange) {
  const auto near = [](const std::vector<double>& found, const std::vector<double>& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-9);
  };
  near(Scale(ScaleKind::linear, 0, 1, 0, 1).ticks(5), {0, 0.2, 0.4, 0.6, 0.8, 1});
  near(Scale(ScaleKind::linear, 0.683, 0.717, 0, 1).ticks(5), {0.69, 0.7, 0.71});
  near(Scale(ScaleKind::linear, -3, 4, 0, 1).ticks(5), {-2, 0, 2, 4});
  near(Scale(ScaleKind::logarithmic, 0.5, 2e6, 0, 1).ticks(5), {1, 10, 100, 1e3, 1e4, 1e5, 1e6});
  near(Scale(ScaleKind::logarithmic, 3, 60, 0, 1).ticks(5), {5, 10, 20, 50});
  near(Scale(ScaleKind::logarithmic, 300, 450, 0, 1).ticks(3), {300, 350, 400, 450});
}

TEST(Scale, WidensARangeWithoutExtent) {
  const Scale scale(ScaleKind::linear, 5, 5, 0, 10);
  EXPECT_DOUBLE_EQ(scale.at(5), 5);
  EXPECT_GE(scale.ticks(4).size(), 2U);
  EXPECT_DOUBLE_EQ(Scale(ScaleKind::logarithmic, 8, 8, 0, 10).at(8), 5);
}

TEST(AxisText, IsShort) {
  EXPECT_EQ(axis_text(0), "0");
  EXPECT_EQ(axis_text(0.25), "0.25");
  EXPECT_EQ(axis_text(-40), "-40");
  EXPECT_EQ(axis_text(2500), "2.5k");
  EXPECT_EQ(axis_text(1e6), "1M");
  EXPECT_EQ(axis_text(3.2e13), "32T");
}

TEST(SpreadApart, KeepsOrderGapAndBounds) {
  const auto places = spread_apart({50, 52, 10, 51, 99}, 10, 0, 100);
  EXPECT_DOUBLE_EQ(places[2], 10) << "what has room stays";
  auto sorted = places;
  std::ranges::sort(sorted);
  for (size_t i = 1; i < sorted.size(); ++i) EXPECT_GE(sorted[i] - sorted[i - 1], 10 - 1e-9);
  EXPECT_LT(places[0], places[3]);
  EXPECT_LT(places[3], places[1]);
  EXPECT_LE(sorted.back(), 100);
  const auto crowded = spread_apart(std::vector<double>(11, 50.0), 30, 0, 100);
  EXPECT_NEAR(crowded.front(), 0, 1e-9);
  EXPECT_NEAR(crowded.back(), 100, 1e-9);
}

}  // namespace
}  // namespace hardmoe
