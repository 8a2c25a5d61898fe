// Minimises a smooth convex function of many variables by L-BFGS (Nocedal 1980), with steps that
// fall enough (Armijo). Not for training networks: each step reads all data.
#pragma once

#include <functional>
#include <vector>

namespace hardmoe {

/// Returns the function's value at a point and writes its gradient there.
using SmoothFunction =
    std::function<double(const std::vector<double>& at, std::vector<double>& gradient)>;

/// Where a search ended.
struct Minimum {
  std::vector<double> at;
  double value = 0;
  int iterations = 0;
};

/// Returns the minimum that is reached from `start`: where no gradient's entry exceeds `tolerance`,
/// after so many iterations, or where rounding hides any further descent.
Minimum minimise(const SmoothFunction& function, std::vector<double> start, int iterations,
                 double tolerance);

}  // namespace hardmoe
