// The minimum of a smooth function of many variables, by L-BFGS (Liu & Nocedal 1989). For functions
// that are convex, or nearly; not for sums over minibatches: see train/trainer.h.
#pragma once

#include <functional>
#include <span>
#include <vector>

namespace hardmoe {

/// Returns the function's value at x and writes its gradient there, of as many values.
using SmoothFunction = std::function<double(std::span<const double> x, std::span<double> gradient)>;

/// Returns where `function` is least, looked for from `start` on. Stops where the gradient, or what
/// a step gains, is no more than rounding, and after `iterations`.
std::vector<double> minimise(const SmoothFunction& function, std::vector<double> start,
                             int iterations = 300);

}  // namespace hardmoe
