#include "cluster/minimise.h"

#include <gtest/gtest.h>

#include <cmath>

namespace hardmoe {
namespace {

// Σ i (x_i − i)²: the minimum is at x_i = i, though curvatures differ by a factor of 1,000.
TEST(Minimise, FindsAQuadraticsCentre) {
  const auto quadratic = [](std::span<const double> x, std::span<double> gradient) {
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const auto weight = static_cast<double>(i + 1);
      const double off = x[i] - weight;
      sum += weight * off * off;
      gradient[i] = 2 * weight * off;
    }
    return sum;
  };
  const auto found = minimise(quadratic, std::vector<double>(1000, -3.0));
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], static_cast<double>(i + 1), 1e-4) << i;
  }
}

// Rosenbrock's valley (1960), whose only minimum is at (1, 1).
TEST(Minimise, FollowsABentValley) {
  const auto valley = [](std::span<const double> x, std::span<double> gradient) {
    const double a = 1 - x[0], b = x[1] - x[0] * x[0];
    gradient[0] = -2 * a - 400 * x[0] * b;
    gradient[1] = 200 * b;
    return a * a + 100 * b * b;
  };
  const auto found = minimise(valley, {-1.2, 1});
  EXPECT_NEAR(found[0], 1, 1e-4);
  EXPECT_NEAR(found[1], 1, 1e-4);
}

TEST(Minimise, StaysWhereTheGradientIsZero) {
  const auto flat = [](std::span<const double>, std::span<double> gradient) {
    gradient[0] = 0;
    return 7.0;
  };
  EXPECT_EQ(minimise(flat, {2.5}), std::vector<double>{2.5});
}

}  // namespace
}  // namespace hardmoe
